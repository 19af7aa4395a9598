#include "graft/core/base/file_system.h"

#include <algorithm>
#include <atomic>
#include <cctype>

#include "graft/core/base/error.h"

namespace graft {
namespace {
std::atomic<FileSystem*> g_replacement{nullptr};
}

FileSystem& file_system() {
  FileSystem* replacement = g_replacement.load();
  return replacement ? *replacement : posix_file_system();
}

std::unique_ptr<File> FileSystem::open_beneath(const std::string& folder,
                                               const std::string& relative) {
  bad_input(join_path(folder, relative), ": this file system cannot open files beneath a folder");
}

FileStamp FileSystem::stamp(const std::string& path) {
  return exists(path) && !is_directory(path) ? FileStamp{open_read(path)->size(), 0} : FileStamp{};
}
LockAttempt FileSystem::try_lock(const std::string&) { return {.supported = false}; }

ScopedFileSystem::ScopedFileSystem(FileSystem& replacement)
    : previous_(g_replacement.exchange(&replacement)) {}
ScopedFileSystem::~ScopedFileSystem() { g_replacement.store(previous_); }

std::vector<std::byte> read_file(const std::string& path, int64_t limit) {
  const auto file = file_system().open_read(path);
  const int64_t size = file->size();
  GRAFT_CHECK(size <= limit, path, ": ", size, " bytes, more than the limit of ", limit);
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  file->read_at(0, bytes);
  return bytes;
}

std::string read_text_file(const std::string& path, int64_t limit) {
  const std::vector<std::byte> bytes = read_file(path, limit);
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::string join_path(const std::string& folder, const std::string& name) {
  if (folder.empty() || folder.back() == '/') return folder + name;
  return folder + "/" + name;
}

std::string parent_path(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string file_name(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string lower_extension(const std::string& path) {
  const std::string name = file_name(path);
  const size_t dot = name.find_last_of('.');
  if (dot == std::string::npos || dot == 0) return "";
  std::string extension = name.substr(dot);
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

}  // namespace graft
