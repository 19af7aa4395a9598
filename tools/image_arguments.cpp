#include "graft/tools/image_arguments.h"

#include <algorithm>
#include <cstdio>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/image_files.h"
#include "graft/tools/output.h"

namespace graft::tools {

std::vector<std::byte> read_standard_input() {
  constexpr size_t most = size_t{1} << 28;
  std::vector<std::byte> input;
  std::byte buffer[65536];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;) {
    input.insert(input.end(), buffer, buffer + n);
    GRAFT_CHECK(input.size() <= most, "standard input: more than ", most, " bytes");
  }
  return input;
}

std::vector<std::string> collect_samples(const std::vector<std::string>& given,
                                         const io::TableColumns& columns,
                                         const io::FileKind& kind) {
  std::vector<std::string> paths;
  io::PassedOver passed_over;
  for (const std::string& path : given) {
    if (path != "-" && io::is_table(path) && !file_system().is_directory(path)) {
      for (const std::string& image : io::read_path_list(path, columns)) paths.push_back(image);
      continue;
    }
    if (path == "-" || !file_system().is_directory(path)) {
      paths.push_back(path);
      continue;
    }
    std::vector<io::ImageFile> found;
    io::find_files(path, "", kind, found, passed_over);
    for (const io::ImageFile& image : found) paths.push_back(image.path);
  }
  if (!passed_over.empty()) say("note: passed over: ", passed_over.to_text());
  GRAFT_CHECK(!paths.empty(), join(given), ": there are no ", kind.many);
  return paths;
}

StandardInput::StandardInput(const std::vector<std::string>& paths) {
  if (std::find(paths.begin(), paths.end(), "-") != paths.end()) bytes_ = read_standard_input();
}

ImageSource StandardInput::source(const std::string& path) const {
  return path == "-" ? ImageSource(NamedBytes(bytes_, "standard input")) : ImageSource(path);
}

std::string PictureNames::stem(const std::string& path) {
  std::string stem = file_name(path == "-" ? "standard_input" : path);
  stem.resize(stem.size() - lower_extension(stem).size());
  const int64_t times = ++times_[stem];
  return times > 1 ? str(stem, "_", times) : stem;
}

}  // namespace graft::tools
