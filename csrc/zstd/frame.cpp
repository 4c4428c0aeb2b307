#include "zstd/frame.hpp"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "core/error.hpp"
#include "sources/byte_planes.hpp"

namespace vcm::zstd {

FrameWriter::FrameWriter(int descriptor, std::int64_t size) : descriptor_(descriptor), size_(size) {
  // magic number; eight bytes of content size and a checksum; the window
  constexpr int kSizeAndChecksum = 0xC4, kLog = std::bit_width(static_cast<std::uint64_t>(kBlock)) - 1;
  std::uint8_t head[14] = {0x28, 0xB5, 0x2F, 0xFD, kSizeAndChecksum, (kLog - 10) << 3};
  for (int k = 0; k < 8; ++k) head[6 + k] = static_cast<std::uint8_t>(size >> (8 * k));
  put(head, sizeof head);
}

void FrameWriter::add(Item item) {
  require(added_ + item.size() <= size_,
          "more content than the " + text(size_) + " bytes that were announced");
  added_ += item.size();
  const std::int64_t n_blocks = item.width * ((item.run + kBlock - 1) / kBlock);
  item.plain = now_.n_plain;
  item.packed = now_.n_packed;
  now_.n_plain += item.size();
  now_.n_packed += item.size() + n_blocks * kBlockHead;
  now_.items.push_back(item);
}

void FrameWriter::add_bytes(const std::uint8_t* from, std::int64_t n) {
  add({{}, 0, n, 1, n, 0, 0, 0});
  now_.plain.resize(std::max(now_.plain.size(), static_cast<std::size_t>(now_.n_plain)));
  std::copy(from, from + n, now_.plain.begin() + now_.items.back().plain);  // n may be 0, from null then
}

void FrameWriter::add_planes(const ChunkedView& array, std::int64_t begin, std::int64_t end,
                             std::int64_t run) {
  add({array, begin, end, size_of(array.type), run, 0, 0, 0});
}

void FrameWriter::pack(Item& item, BlockWriter& writer) {
  std::uint8_t* plain = now_.plain.data() + item.plain;
  std::uint8_t* packed = now_.packed.data() + item.packed;
  if (item.width > 1) {
    const auto split = VCM_SELECT_ISA(split_planes);
    std::int64_t done = 0;
    for_each_piece(item.array, item.begin, item.end, [&](const std::uint8_t* from, std::int64_t n) {
      split(from, n, item.width, item.run, plain + done);
      done += n;
    });
    for (std::int64_t plane = 0; plane < item.width; ++plane)
      std::memset(plain + plane * item.run + done, 0, static_cast<std::size_t>(item.run - done));
  }
  item.n_packed = 0;
  for (std::int64_t plane = 0; plane < item.width; ++plane)
    for (std::int64_t at = 0; at < item.run; at += kBlock)
      item.n_packed += writer.write(plain + plane * item.run + at, std::min(kBlock, item.run - at),
                                    packed + item.n_packed);
}

void FrameWriter::compress(const Team& team) {
  now_.plain.resize(std::max(now_.plain.size(), static_cast<std::size_t>(now_.n_plain)));
  now_.packed.resize(std::max(now_.packed.size(), static_cast<std::size_t>(now_.n_packed)));
  const auto n_items = static_cast<std::int64_t>(now_.items.size());
  const std::int64_t work = now_.n_plain + before_.n_plain;
  while (static_cast<int>(writers_.size()) < n_workers(team, n_items + 2, work)) writers_.emplace_back();
  for_each_task(team, n_items + 2, work, [&](std::int64_t task, int worker, const std::atomic<bool>&) {
    if (task == 0) {
      for (const Item& item : before_.items) put(before_.packed.data() + item.packed, item.n_packed);
    } else if (task == 1) {
      checksum_.add(before_.plain.data(), before_.n_plain);
    } else {
      pack(now_.items[static_cast<std::size_t>(task - 2)], writers_[static_cast<std::size_t>(worker)]);
    }
  });
  std::swap(now_, before_);
  now_.items.clear();
  now_.n_plain = now_.n_packed = 0;
}

std::int64_t FrameWriter::finish(const Team& team) {
  require(added_ == size_,
          text(added_) + " bytes were added; expected the " + text(size_) + " that were announced");
  compress(team);
  compress(team);  // which writes the last batch
  const std::uint64_t hash = checksum_.digest();
  std::uint8_t tail[7] = {1, 0, 0};  // an empty last block
  for (int k = 0; k < 4; ++k) tail[3 + k] = static_cast<std::uint8_t>(hash >> (8 * k));
  put(tail, sizeof tail);
  return written_;
}

void FrameWriter::put(const std::uint8_t* from, std::int64_t n) {
  written_ += n;
  while (n > 0) {
    const auto done = ::write(descriptor_, from, static_cast<std::size_t>(n));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) throw std::system_error(errno, std::generic_category());
    from += done;
    n -= done;
  }
}

}  // namespace vcm::zstd
