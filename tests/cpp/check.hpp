#pragma once
#include <cstdio>
#include <cstdlib>
#include <vector>

// A test is a function; CHECK ends the program where it fails.
#define CHECK(condition)                                                                 \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                                      \
    }                                                                                    \
  } while (false)

struct Test {
  const char* name;
  void (*body)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

struct Registered {
  Registered(const char* name, void (*body)()) { tests().push_back({name, body}); }
};

#define TEST(name)                                        \
  static void name();                                     \
  static const Registered registered_##name(#name, name); \
  static void name()
