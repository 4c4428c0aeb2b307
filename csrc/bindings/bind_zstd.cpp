#include <pybind11/pybind11.h>

#include <cerrno>
#include <system_error>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "zstd/frame.hpp"

namespace vcm {
namespace {

// A frame and the arrays that its next batch reads.
class Frame {
 public:
  Frame(int descriptor, std::int64_t size) : writer_(descriptor, size) {}

  void add_bytes(const py::object& content) {
    const auto bytes = exactly<std::uint8_t>(content, "content", 1);
    writer_.add_bytes(bytes.data(), bytes.size());
  }
  void add_planes(const py::tuple& array, std::int64_t run) {
    require(array.size() == 4, "array must be the 4 parts of ChunkedArray.args()");
    const ChunkedView view = chunked_view(array, 0, "array");
    const std::int64_t width = size_of(view.type);
    require(width == 4 || width == 8, "elements have " + text(width) + " bytes; expected 4 or 8");
    require(run >= view.size() && run > 0,
            "run is " + text(run) + "; expected at least the " + text(view.size()) + " elements of array");
    kept_.push_back(array);
    writer_.add_planes(view, 0, view.size(), run);
  }
  void compress(int n_threads) {
    run([&](const Team& team) { writer_.compress(team); }, n_threads);
    kept_.clear();
  }
  std::int64_t finish(int n_threads) {
    std::int64_t written = 0;
    run([&](const Team& team) { written = writer_.finish(team); }, n_threads);
    kept_.clear();
    return written;
  }

 private:
  template <class Function>
  void run(Function&& work, int n_threads) {
    const Team team = team_of(n_threads);
    try {
      without_gil([&] { work(team); });
    } catch (const std::system_error& error) {
      errno = error.code().value();
      PyErr_SetFromErrno(PyExc_OSError);
      throw py::error_already_set();
    }
  }

  zstd::FrameWriter writer_;
  std::vector<py::object> kept_;
};

Frame* open_frame(int descriptor, std::int64_t size) {
  require(size >= 0, "size is " + text(size) + "; expected a number of bytes");
  try {
    return new Frame(descriptor, size);
  } catch (const std::system_error& error) {
    errno = error.code().value();
    PyErr_SetFromErrno(PyExc_OSError);
    throw py::error_already_set();
  }
}

}  // namespace

void bind_zstd(py::module_& m) {
  py::class_<Frame>(m, "ZstdFrame", "A Zstandard frame of numbers, written to an open file batch by batch.")
      .def(py::init(&open_frame), py::arg("descriptor"), py::arg("size"),
           "A frame of `size` bytes of content, at the position of the file.")
      .def("add_bytes", &Frame::add_bytes, py::arg("content"), "Content as it is; copied.")
      .def("add_planes", &Frame::add_planes, py::arg("array"), py::arg("run"),
           "ChunkedArray.args(), padded with zeros to `run` elements, their bytes sorted by their place in "
           "the "
           "element; read by the next compress.")
      .def("compress", &Frame::compress, py::arg("n_threads"),
           "Compress what was added; write what was compressed before.")
      .def("finish", &Frame::finish, py::arg("n_threads"),
           "Compress and write everything; returns the bytes of the frame.");
}

}  // namespace vcm
