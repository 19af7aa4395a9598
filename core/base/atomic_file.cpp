// Files that are replaced whole: the one way in which graft writes what somebody may be reading.
#include "graft/core/base/file_system.h"

namespace graft {
void write_file_atomically(const std::string& path,
                           std::span<const std::span<const std::byte>> parts) {
  FileSystem& files = file_system();
  const std::string target = files.resolve_links(path);
  {
    const auto file = files.create_beside(target);
    for (const auto part : parts) file->append(part);
    file->sync();
    file->close();
    files.rename(file->path(), target);
  }
  files.sync_directory(parent_path(target));
}

void write_file_atomically(const std::string& path, const std::string& text) {
  const std::span<const std::byte> part = std::as_bytes(std::span(text));
  write_file_atomically(path, std::span(&part, 1));
}

void check_writable(const std::string& path) {
  FileSystem& files = file_system();
  files.create_beside(files.resolve_links(path));  // and gone
}

}  // namespace graft
