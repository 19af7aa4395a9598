// A FileSystem of a few files in memory, for fuzzing what opens files by itself.
#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/weights/formats.h"

namespace graft {

// Paths are "/d/<name>"; "/d" and "/" are the only folders. Nothing can be written.
class MemoryFileSystem final : public FileSystem {
 public:
  void put(const std::string& name, std::span<const std::byte> content) {
    files_["/d/" + name] = content;
  }

  std::unique_ptr<File> open_read(const std::string& path) override {
    const auto found = files_.find(path);
    GRAFT_CHECK(found != files_.end(), path, ": there is no such file");
    return std::make_unique<io::MemoryFile>(path, found->second);
  }
  bool exists(const std::string& path) override {
    return is_directory(path) || files_.contains(path);
  }
  bool is_directory(const std::string& path) override { return path == "/d" || path == "/"; }
  std::vector<DirectoryEntry> list(const std::string& path) override {
    std::vector<DirectoryEntry> entries;
    if (path == "/d")
      for (const auto& [name, content] : files_) entries.push_back({file_name(name), false, true});
    return entries;
  }

  std::unique_ptr<File> create(const std::string& path) override { refuse(path); }
  std::unique_ptr<File> create_beside(const std::string& target) override { refuse(target); }
  std::unique_ptr<File> open_append(const std::string& path) override { refuse(path); }
  void create_directories(const std::string& path) override { refuse(path); }
  void rename(const std::string& from, const std::string&) override { refuse(from); }
  void remove(const std::string& path) override { refuse(path); }
  void truncate(const std::string& path, int64_t) override { refuse(path); }
  void sync_directory(const std::string& path) override { refuse(path); }

 private:
  [[noreturn]] static void refuse(const std::string& path) {
    fail(ErrorCode::internal, path, ": a reader wrote");
  }
  std::map<std::string, std::span<const std::byte>> files_;
};

}  // namespace graft
