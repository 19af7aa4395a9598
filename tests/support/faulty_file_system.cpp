#include "graft/tests/support/faulty_file_system.h"

#include "graft/core/base/error.h"

namespace graft {
namespace {

class FaultyFile final : public File {
 public:
  FaultyFile(FaultyFileSystem& owner, std::unique_ptr<File> real)
      : owner_(owner), real_(std::move(real)) {}
  const std::string& path() const override { return real_->path(); }
  int64_t size() override { return real_->size(); }
  void read_at(int64_t offset, std::span<std::byte> out) override {
    owner_.count(path(), "read");
    real_->read_at(offset, out);
  }
  void append(std::span<const std::byte> bytes) override {
    owner_.count(path(), "write");
    real_->append(bytes);
  }
  void sync() override {
    owner_.count(path(), "sync");
    real_->sync();
  }
  void close() override {
    owner_.count(path(), "close");
    real_->close();
  }

 private:
  FaultyFileSystem& owner_;
  std::unique_ptr<File> real_;
};

}  // namespace

void FaultyFileSystem::count(const std::string& path, const char* call) {
  const int number = calls_++;
  if (fail_at_ < 0 || number < fail_at_ || (number > fail_at_ && !persistent_)) return;
  fired_ = true;
  fail(ErrorCode::resource, path, ": cannot ", call, ": injected fault");
}

std::unique_ptr<File> FaultyFileSystem::open_read(const std::string& path) {
  count(path, "open");
  return std::make_unique<FaultyFile>(*this, real_.open_read(path));
}
std::unique_ptr<File> FaultyFileSystem::open_beneath(const std::string& folder,
                                                     const std::string& relative) {
  count(join_path(folder, relative), "open");
  return std::make_unique<FaultyFile>(*this, real_.open_beneath(folder, relative));
}
std::unique_ptr<File> FaultyFileSystem::create(const std::string& path) {
  count(path, "create");
  return std::make_unique<FaultyFile>(*this, real_.create(path));
}
std::unique_ptr<File> FaultyFileSystem::create_beside(const std::string& target) {
  count(target, "create");
  return std::make_unique<FaultyFile>(*this, real_.create_beside(target));
}
LockAttempt FaultyFileSystem::try_lock(const std::string& path) {
  count(path, "lock");
  return real_.try_lock(path);
}
std::unique_ptr<File> FaultyFileSystem::open_append(const std::string& path) {
  count(path, "open for appending");
  return std::make_unique<FaultyFile>(*this, real_.open_append(path));
}
std::vector<DirectoryEntry> FaultyFileSystem::list(const std::string& path) {
  count(path, "list");
  return real_.list(path);
}
void FaultyFileSystem::create_directories(const std::string& path) {
  count(path, "create the folder");
  real_.create_directories(path);
}
void FaultyFileSystem::rename(const std::string& from, const std::string& to) {
  count(to, "rename");
  real_.rename(from, to);
}
void FaultyFileSystem::truncate(const std::string& path, int64_t size) {
  count(path, "truncate");
  real_.truncate(path, size);
}
void FaultyFileSystem::sync_directory(const std::string& path) {
  count(path, "sync the folder");
  real_.sync_directory(path);
}

}  // namespace graft
