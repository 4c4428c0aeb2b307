#include "check.hpp"

int main() {
  for (const Test& test : tests()) {
    std::printf("%s\n", test.name);
    test.body();
  }
  std::printf("%zu passed\n", tests().size());
  return tests().empty() ? 1 : 0;
}
