// Files that are replaced whole: the one way in which graft writes what somebody may be reading.
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"

namespace graft {
namespace {

void remove_quietly(const std::string& path) {
  try {
    file_system().remove(path);
  } catch (const Error&) {  // the first error is the one to report
  }
}

}  // namespace

void write_file_atomically(const std::string& path,
                           std::span<const std::span<const std::byte>> parts) {
  FileSystem& files = file_system();
  const std::string target = files.resolve_links(path);
  {
    const auto file = files.create_beside(target);
    try {
      for (const auto part : parts) file->append(part);
      file->sync();
      file->close();
      files.rename(file->path(), target);
    } catch (...) {
      remove_quietly(file->path());
      throw;
    }
  }
  files.sync_directory(parent_path(target));
}

void write_file_atomically(const std::string& path, const std::string& text) {
  const std::span<const std::byte> part = std::as_bytes(std::span(text));
  write_file_atomically(path, std::span(&part, 1));
}

void check_writable(const std::string& path) {
  FileSystem& files = file_system();
  const auto file = files.create_beside(files.resolve_links(path));
  files.remove(file->path());
}

}  // namespace graft
