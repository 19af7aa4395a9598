#include "graft/train/inputs/table.h"

#include <array>
#include <map>

#include "graft/core/base/file_system.h"
#include "graft/core/base/text.h"
#include "graft/io/datasets/path_list.h"
#include "graft/train/inputs/audio/audio_input.h"
#include "graft/train/inputs/image/image_input.h"
#include "graft/train/inputs/text/text_input.h"

namespace graft::train {
namespace {

// An input is one line here and a folder beside this file. The first is what samples are unless the
// data say otherwise.
const std::array kInputs = {
    std::shared_ptr<const Input>(std::make_shared<ImageInput>()),
    std::shared_ptr<const Input>(std::make_shared<AudioInput>()),
    std::shared_ptr<const Input>(std::make_shared<TextInput>()),
};

constexpr int kDepth = 16;
constexpr int64_t kMostFiles = 20000;  // looked at
constexpr size_t kBytesLookedAt = size_t{1} << 16;

struct Seen {
  std::map<const Input*, int64_t> files{};
  int64_t looked_at = 0;

  void add(const std::string& name) {
    ++looked_at;
    for (const auto& input : kInputs)
      if (input->files().takes(name)) ++files[input.get()];
  }
};

void look_in(const std::string& folder, int depth, Seen& seen) {
  if (depth > kDepth) return;
  for (const DirectoryEntry& entry : file_system().list(folder)) {
    if (seen.looked_at >= kMostFiles) return;
    if (entry.is_regular && entry.name[0] != '.') seen.add(entry.name);
    if (entry.is_directory && !io::is_litter_folder(entry.name))
      look_in(join_path(folder, entry.name), depth + 1, seen);
  }
}

// Whatever in a table's first lines ends as a file does.
void look_at_table(const std::string& path, Seen& seen) {
  const auto file = file_system().open_read(path);
  std::string text(std::min(static_cast<size_t>(file->size()), kBytesLookedAt), '\0');
  file->read_at(0, std::as_writable_bytes(std::span(text)));
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find_first_of(",;\t|\"\r\n", begin), text.size());
    seen.add(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

}  // namespace

std::vector<std::string> input_names() {
  std::vector<std::string> names;
  for (const auto& input : kInputs) names.push_back(input->name());
  return names;
}

std::shared_ptr<const Input> input_named(const std::string& name) {
  for (const auto& input : kInputs)
    if (input->name() == name) return input;
  bad_input("input: '", name, "' is none of ", join(input_names()));
}

std::shared_ptr<const Input> input_of(const io::Preprocess& preprocess) {
  if (preprocess.input.empty()) return kInputs[0];
  std::shared_ptr<const Input> input = input_named(preprocess.input);
  input->check(preprocess);
  return input;
}

ChosenInput choose_input(const std::string& name, const std::string& path) {
  if (name != "auto") return {input_named(name), "as asked for"};
  Seen seen;
  if (file_system().is_directory(path))
    look_in(path, 0, seen);
  else if (io::is_table(path) && file_system().exists(path))
    look_at_table(path, seen);
  std::shared_ptr<const Input> most = kInputs[0];
  for (const auto& input : kInputs)  // texts stand beside anything, and are asked for by name
    if (!input->files().is_texts() && seen.files[input.get()] > seen.files[most.get()])
      most = input;
  if (most == kInputs[0]) return {most, ""};
  return {most, str("because ", path, " holds ", seen.files[most.get()], " ", most->files().many,
                    " and ", seen.files[kInputs[0].get()], " ", kInputs[0]->files().many)};
}

ChosenInput input_of_model(const io::Preprocess& preprocess, const std::string& name) {
  std::shared_ptr<const Input> own = input_of(preprocess);
  GRAFT_CHECK(name == "auto" || name == own->name(), "--input ", name, ": the model takes input ",
              own->name());
  return {own, preprocess.input.empty() ? "" : "as the model's card says"};
}

}  // namespace graft::train
