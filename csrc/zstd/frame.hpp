#pragma once
#include <cstdint>
#include <vector>

#include "core/parallel.hpp"
#include "core/views.hpp"
#include "zstd/block.hpp"
#include "zstd/xxh64.hpp"

namespace vcm::zstd {

// One Zstandard frame, written to a file while its content arrives. While a batch is compressed the one
// before is written and its checksum taken. The same bytes for any number of threads and any cut into
// batches.
class FrameWriter {
 public:
  // Writes to the open file `descriptor`, at its position; `size` bytes of content will be added.
  FrameWriter(int descriptor, std::int64_t size);

  // Content as it is; copied.
  void add_bytes(const std::uint8_t* from, std::int64_t n);
  // Elements begin … end-1 of `array`, padded with zeros to `run` ≥ end - begin elements, their bytes sorted
  // by their place in the element. Read by the next compress; `array` must live until then.
  void add_planes(const ChunkedView& array, std::int64_t begin, std::int64_t end, std::int64_t run);
  // Compress what was added. Throws std::system_error where the file cannot be written.
  void compress(const Team& team);
  // Compress and write everything; nothing may follow. The bytes of the whole frame.
  std::int64_t finish(const Team& team);

 private:
  struct Item {
    ChunkedView array;
    std::int64_t begin, end;  // elements
    std::int64_t width, run;  // 1, bytes: content that is in place already
    std::int64_t plain, packed, n_packed;
    std::int64_t size() const { return width * run; }
  };
  struct Batch {
    std::vector<Item> items;
    std::vector<std::uint8_t> plain, packed;
    std::int64_t n_plain = 0, n_packed = 0;  // used; packed has room for the worst case
  };

  void add(Item item);
  void pack(Item& item, BlockWriter& writer);
  void put(const std::uint8_t* from, std::int64_t n);

  int descriptor_;
  std::int64_t size_, added_ = 0, written_ = 0;
  Batch now_, before_;
  std::vector<BlockWriter> writers_;  // by worker
  Xxh64 checksum_;
};

}  // namespace vcm::zstd
