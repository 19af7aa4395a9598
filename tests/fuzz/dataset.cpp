// Data sets: the first byte chooses the format. IDX splits the rest in two files at "|||".
#include <algorithm>
#include <array>

#include "graft/io/datasets/dataset.h"
#include "graft/tests/fuzz/memory_file_system.h"
#include "graft/tests/fuzz/target.h"

namespace {

void read_all(const graft::io::OpenedData& data) {
  for (const auto& part : {data.train, data.val}) {
    if (!part) continue;
    part->fingerprint();
    for (int64_t i = 0; i < std::min<int64_t>(part->size(), 4); ++i) {
      if (part->label(i) < 0 || part->label(i) >= static_cast<int64_t>(data.classes.size()))
        graft::fail(graft::ErrorCode::internal, "label ", part->label(i), " of ", data.classes.size(), " classes");
      part->image(i);
    }
  }
}

void open_chosen(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  graft::MemoryFileSystem files;
  const graft::ScopedFileSystem scope(files);
  const auto rest = bytes.subspan(1);
  constexpr std::array<std::byte, 3> mark{std::byte{'|'}, std::byte{'|'}, std::byte{'|'}};
  const auto found = std::search(rest.begin(), rest.end(), mark.begin(), mark.end());
  const auto first = rest.first(static_cast<size_t>(found - rest.begin()));
  const auto second = rest.subspan(std::min(rest.size(), first.size() + 3));
  std::string path = "/d";
  switch (static_cast<char>(bytes[0])) {
    case 'i':
      files.put("train-images-idx3-ubyte", first);
      files.put("train-labels-idx1-ubyte.gz", second);
      break;
    case 'c': files.put("data_batch_1.bin", rest); break;
    case 'C':
      files.put("train.bin", first);
      files.put("fine_label_names.txt", second);
      break;
    case 'n':
      files.put("x.npz", rest);
      path = "/d/x.npz";
      break;
    default:
      files.put("x.csv", rest);
      files.put("a.pgm", rest);
      path = "/d/x.csv";
  }
  read_all(graft::io::open_data(path));
}

}  // namespace

GRAFT_FUZZ_TARGET({ open_chosen(bytes); })
