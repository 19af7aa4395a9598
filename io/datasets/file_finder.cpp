#include "graft/io/datasets/file_finder.h"

#include <algorithm>

#include "graft/core/base/file_system.h"

namespace graft::io {
namespace {

bool is_file(const std::string& path) {
  return file_system().exists(path) && !file_system().is_directory(path);
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

std::string FileFinder::find(const std::string& name) const {
  if (name.empty() || name.find('\0') != std::string::npos) return "";
  if (const std::string path = existing(placed(name)); !path.empty()) return path;
  if (name.find('\\') == std::string::npos) return "";
  std::string slashed = name;
  std::replace(slashed.begin(), slashed.end(), '\\', '/');
  return existing(placed(slashed));
}

std::string FileFinder::placed(const std::string& name) const {
  return name[0] == '/' ? name : join_path(root_, name);
}

}  // namespace graft::io
