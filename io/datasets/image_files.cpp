#include "graft/io/datasets/image_files.h"

#include <algorithm>
#include <array>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/images/image.h"

namespace graft::io {
namespace {

constexpr int kMaxFolderDepth = 16;

bool is_one_of(const std::string& name, std::span<const std::string_view> names) {
  std::string lower = name;
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return std::find(names.begin(), names.end(), lower) != names.end();
}

// Explorer, Finder's icons, and the like, which bear no leading dot.
bool is_litter_file(const std::string& name) {
  constexpr std::array<std::string_view, 4> names = {"thumbs.db", "desktop.ini", "ehthumbs.db",
                                                     "icon\r"};
  return is_one_of(name, names);
}

bool starts_like_an_image(File& file) {
  std::array<std::byte, kFormatBytes> first{};
  const auto count = std::min(static_cast<size_t>(file.size()), first.size());
  file.read_at(0, std::span(first).first(count));
  return is_read_format(image_format(std::span(first).first(count)));
}

// The word under which a regular file is passed over; "" for a sample.
std::string reason_against(const std::string& path, const std::string& name, const FileKind& kind) {
  if (name[0] == '.') return "hidden";
  if (is_litter_file(name)) return name;
  const std::string extension = lower_extension(name);
  if (!extension.empty() && !kind.takes(name)) return extension;
  const auto file = file_system().open_read(path);
  if (file->size() == 0) return "empty";
  if (extension.empty() && !(kind.is_images() && starts_like_an_image(*file)))
    return "without extension";
  return "";
}

void search(const std::string& folder, const std::string& short_name, int depth,
            const FileKind& kind, std::vector<ImageFile>& images, PassedOver& passed_over) {
  GRAFT_CHECK(depth <= kMaxFolderDepth, folder, ": folders are nested too deeply");
  for (const DirectoryEntry& entry : file_system().list(folder)) {
    const std::string path = join_path(folder, entry.name),
                      name = short_name.empty() ? entry.name : join_path(short_name, entry.name);
    if (entry.is_directory) {
      if (is_litter_folder(entry.name))
        ++passed_over.counts[entry.name + "/"];
      else
        search(path, name, depth + 1, kind, images, passed_over);
      continue;
    }
    const std::string reason = entry.is_regular            ? reason_against(path, entry.name, kind)
                               : entry.unreachable.empty() ? "no regular file"
                                                           : entry.unreachable;
    if (reason.empty())
      images.push_back({path, name});
    else
      ++passed_over.counts[reason];
  }
}

}  // namespace

void PassedOver::add(const PassedOver& other) {
  for (const auto& [reason, count] : other.counts) counts[reason] += count;
}

std::string PassedOver::to_text() const {
  std::vector<std::pair<int64_t, std::string>> order;
  for (const auto& [reason, count] : counts) order.emplace_back(-count, reason);
  std::sort(order.begin(), order.end());
  std::vector<std::string> parts;
  for (const auto& [count, reason] : order) parts.push_back(str(-count, " ", reason));
  return join(parts);
}

bool is_litter_folder(const std::string& name) {
  constexpr std::array<std::string_view, 4> names = {"__macosx", "@eadir", "#recycle",
                                                     "system volume information"};
  return name[0] == '.' || is_one_of(name, names);
}

void find_images(const std::string& folder, const std::string& short_name,
                 std::vector<ImageFile>& images, PassedOver& passed_over) {
  search(folder, short_name, 0, {}, images, passed_over);
}

void find_files(const std::string& folder, const std::string& short_name, const FileKind& kind,
                std::vector<ImageFile>& files, PassedOver& passed_over) {
  search(folder, short_name, 0, kind, files, passed_over);
}

void count_beside_folders(const std::string& folder, PassedOver& passed_over,
                          const FileKind& kind) {
  for (const DirectoryEntry& entry : file_system().list(folder)) {
    if (entry.is_directory && is_litter_folder(entry.name)) ++passed_over.counts[entry.name + "/"];
    if (!entry.is_regular) continue;
    const std::string reason = reason_against(join_path(folder, entry.name), entry.name, kind);
    ++passed_over.counts[reason.empty() ? "in no class folder" : reason];
  }
}

}  // namespace graft::io
