// The pickle inside a PyTorch zip file: the input is data.pkl, and a storage behind it where it
// holds "|||".
#include "graft/io/weights/formats.h"
#include "graft/tests/fuzz/split_files.h"
#include "graft/tests/fuzz/target.h"
#include "graft/tests/support/zip_writer.h"

GRAFT_FUZZ_TARGET(pickle, 64, 1 << 20, [](graft::fuzz::Bytes bytes) {
  const auto [pickle, storage] = graft::fuzz::split_files(bytes);
  const auto text = [](graft::fuzz::Bytes part) {
    return std::string(reinterpret_cast<const char*>(part.data()), part.size());
  };
  const std::string archive =
      graft::ZipWriter().add({"a/data.pkl", text(pickle)}).add({"a/data/0", text(storage)}).bytes();
  graft::io::MemoryFile file("input", std::as_bytes(std::span(archive)));
  graft::io::read_pytorch_zip(file);
})
