// A FileSystem that passes calls on and fails the n-th one (counted over all calls that change or
// read files).
#pragma once
#include <atomic>
#include <functional>

#include "graft/core/base/file_system.h"

namespace graft {

class FaultyFileSystem final : public FileSystem {
 public:
  // Fails call number `fail_at` (from 0; negative: none) with Error(resource); persistent: and
  // every later one but remove(), which stays possible on a full disk.
  FaultyFileSystem(FileSystem& real, int fail_at, bool persistent = false)
      : real_(real), fail_at_(fail_at), persistent_(persistent) {}

  bool fired() const { return fired_; }
  int calls() const { return calls_; }

  std::unique_ptr<File> open_read(const std::string& path) override;
  std::unique_ptr<File> create_beside(const std::string& target) override;
  std::string resolve_links(const std::string& path) override { return real_.resolve_links(path); }
  LockAttempt try_lock(const std::string& path) override;
  std::unique_ptr<File> open_beneath(const std::string& folder,
                                     const std::string& relative) override;
  std::unique_ptr<File> create(const std::string& path) override;
  std::unique_ptr<File> open_append(const std::string& path) override;
  bool exists(const std::string& path) override { return real_.exists(path); }
  FileStamp stamp(const std::string& path) override { return real_.stamp(path); }
  bool is_directory(const std::string& path) override { return real_.is_directory(path); }
  std::vector<DirectoryEntry> list(const std::string& path) override;
  void create_directories(const std::string& path) override;
  void rename(const std::string& from, const std::string& to) override;
  void remove(const std::string& path) override { real_.remove(path); }
  void truncate(const std::string& path, int64_t size) override;
  void sync_directory(const std::string& path) override;

  void count(const std::string& path, const char* call);  // throws when it is this call's turn

 private:
  FileSystem& real_;
  int fail_at_;
  bool persistent_;
  std::atomic<int> calls_{0};
  std::atomic<bool> fired_{false};
};

}  // namespace graft
