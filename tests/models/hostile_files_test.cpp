// Every hostile file (tests/support/hostile_*.cpp) against its reader: one sentence that names the
// file and the fault, and little memory.
#include "graft/tests/support/hostile_files.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/tensor/allocator.h"
#include "graft/io/datasets/dataset.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/import.h"
#include "graft/models/model_file.h"
#include "graft/tests/fuzz/peak_memory.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

constexpr int64_t kTimes = 64,
                  kPlus = 64 << 20;  // memory: at most kTimes * the file's size + kPlus

void read(HostileKind kind, const std::string& path) {
  switch (kind) {
    case HostileKind::weights: io::read_weights(path); return;
    case HostileKind::graph:
      models::GraphModule(models::read_graph(io::onnx::read_model(path)));
      return;
    case HostileKind::image: io::read_image(path); return;
    case HostileKind::model: models::load_model(path); return;
    case HostileKind::description: models::import_weights(path); return;
    case HostileKind::data: break;
  }
  const io::OpenedData data = io::open_data(path);
  data.train->image(0);
}

class HostileFiles : public testing::TestWithParam<HostileFile> {};

TEST_P(HostileFiles, AreRefusedByTheirReader) {
  const TemporaryFolder folder;
  const std::string path = make_hostile_file(GetParam(), folder / "files");
  const int64_t size = file_system().is_directory(path) ? 0 : file_system().open_read(path)->size();
  cpu_allocator().reset_peak();
  const int64_t before = cpu_allocator().stats().live_bytes;
  const fuzz::PeakMemory
      memory;  // counts in builds with AddressSanitizer; the tensors' allocator counts in all
  try {
    read(GetParam().kind, path);
    FAIL() << "it was read";
  } catch (const Error& error) {
    const std::string sentence = error.what();
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << sentence;
    EXPECT_NE(sentence.find(folder / "files"), std::string::npos) << sentence;
    for (const std::string& word : GetParam().words)
      EXPECT_NE(sentence.find(word), std::string::npos) << "'" << word << "' in: " << sentence;
  }
  EXPECT_LE(std::max(memory.bytes(), cpu_allocator().stats().peak_bytes - before),
            kTimes * size + kPlus);
}

INSTANTIATE_TEST_SUITE_P(Hostile, HostileFiles, testing::ValuesIn(hostile_files()),
                         [](const auto& file) { return file.param.name; });

}  // namespace
}  // namespace graft
