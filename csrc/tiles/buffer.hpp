#pragma once
#include <cstdint>
#include <memory>
#include <new>

namespace vcm {

// A growing buffer whose content is never cleared: fresh memory is touched by whoever fills it. Aligned to a
// cache line.
template <class T>
class Buffer {
 public:
  T* reserve(std::int64_t n) {
    if (n > size_) {
      data_.reset(new (kLine) T[static_cast<std::size_t>(n)]);
      size_ = n;
    }
    return data_.get();
  }
  T* data() const { return data_.get(); }

 private:
  static constexpr std::align_val_t kLine{64};
  struct Free {
    void operator()(T* data) const { ::operator delete[](data, kLine); }
  };

  std::unique_ptr<T[], Free> data_;
  std::int64_t size_ = -1;  // so that nothing is a place, too: memset wants one
};

}  // namespace vcm
