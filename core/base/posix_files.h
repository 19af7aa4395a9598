// The parts of the POSIX file system: an open file, a file that will replace another, a lock.
#pragma once
#include <memory>
#include <string>
#include <utility>

#include "graft/core/base/file_system.h"
#include "graft/core/base/posix_calls.h"

namespace graft::posix {

class PosixFile : public File {
 public:
  // `shown` is the name in messages: the user's where path is one of ours.
  PosixFile(std::string path, std::string shown, Descriptor descriptor)
      : path_(std::move(path)), shown_(std::move(shown)), descriptor_(std::move(descriptor)) {}
  PosixFile(const std::string& path, Descriptor descriptor)
      : PosixFile(path, path, std::move(descriptor)) {}
  const std::string& path() const override { return path_; }
  int64_t size() override;
  void read_at(int64_t offset, std::span<std::byte> out) override;
  void append(std::span<const std::byte> bytes) override;
  void sync() override;
  void close() override;

 private:
  std::string path_, shown_;
  Descriptor descriptor_;
};

// FileSystem's calls of the same names.
std::string resolve_links(std::string path);
std::unique_ptr<File> create_beside(const std::string& target);
LockAttempt try_lock(const std::string& path);

}  // namespace graft::posix
