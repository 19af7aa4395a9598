#include "graft/io/datasets/file_finder.h"

#include <algorithm>

#include "graft/core/base/file_system.h"
#include "graft/core/base/text.h"
#include "graft/io/images/nifti.h"

namespace graft::io {
namespace {

bool is_absolute_path(const std::string& path) {
  const bool has_drive = path.size() > 2 && path[1] == ':' && path[2] == '/';
  return path.starts_with('/') || has_drive;
}

std::string with_slashes(std::string name) {
  std::replace(name.begin(), name.end(), '\\', '/');
  return name;
}

bool is_file(const std::string& path) {
  const std::string file = slice_path(path).file;
  return file_system().exists(file) && !file_system().is_directory(file);
}

std::string existing(const std::string& path) {
  if (is_file(path)) return path;
  if (!lower_extension(path).empty()) return "";
  for (const char* extension : {".jpg", ".png", ".jpeg", ".JPG", ".webp", ".tif", ".bmp"})
    if (is_file(path + extension)) return path + extension;
  return "";
}

}  // namespace

FileFinder::FileFinder(const std::string& table, const std::string& root)
    : root_(root.empty() ? parent_path(table) : root) {}

std::string FileFinder::placed(const std::string& name) const {
  return name[0] == '/' ? name : join_path(root_, name);
}

std::string FileFinder::find(const std::string& name) const {
  if (name.empty() || name.find('\0') != std::string::npos) return "";
  if (const std::string path = existing(placed(name)); !path.empty()) return path;
  const std::string slashed = with_slashes(name);
  if (!elsewhere_.empty() && slashed.starts_with(elsewhere_))
    return existing(join_path(root_, slashed.substr(elsewhere_.size())));
  return slashed == name ? "" : existing(placed(slashed));
}

bool FileFinder::find_elsewhere(const std::string& name) {
  const std::string slashed = with_slashes(name);
  if (!is_absolute_path(slashed) || name.find('\0') != std::string::npos ||
      slashed.find("../") != std::string::npos)
    return false;
  for (size_t at = slashed.find('/'); at != std::string::npos; at = slashed.find('/', at + 1)) {
    const std::string end = slashed.substr(at + 1);
    if (end.empty() || existing(join_path(root_, end)).empty()) continue;
    elsewhere_ = slashed.substr(0, at + 1);
    return true;
  }
  return false;
}

std::string FileFinder::hint(const std::string& name) const {
  if (name.empty() || !file_system().is_directory(root_)) return "";
  for (const DirectoryEntry& entry : file_system().list(root_)) {
    const std::string folder = join_path(root_, entry.name);
    if (entry.is_directory && !existing(join_path(folder, with_slashes(name))).empty())
      return str("; ", folder, " holds a file of that name: --root ", folder);
  }
  return "";
}

}  // namespace graft::io
