#include "graft/tools/hdf5_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "graft/core/base/error.h"
#include "graft/io/weights/formats.h"
#include "graft/io/weights/hdf5.h"

namespace graft::tools {
namespace {

constexpr int kPatienceMs = 120'000;  // without a byte from the reader
constexpr const char* kProgram = "graft_read_hdf5";

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  void open(int number) { number_ = number; }
  void close() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

// Whether only root, this user, or who installed graft can have put it there: a program in a folder
// that everybody may write to (graft copied to /tmp) is not run.
bool is_trusted(const std::string& path, uid_t installer) {
  for (const std::string& part : {path, parent_path(path)}) {
    struct stat info;
    if (::stat(part.c_str(), &info) != 0 || (info.st_mode & S_IWOTH) != 0) return false;
    if (info.st_uid != 0 && info.st_uid != ::geteuid() && info.st_uid != installer) return false;
  }
  return true;
}

struct FoundProgram {
  std::string path;
  std::string why;  // when there is none that may be run
};

// Beside this program, or where make install puts it; never by a search path or the current folder.
FoundProgram find_program() {
  FoundProgram found{"", str(kProgram, " is not installed beside graft")};
  char self[4096];
  struct stat info;
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
  if (length <= 0 || length == static_cast<ssize_t>(sizeof self) || self[0] != '/' ||
      ::stat("/proc/self/exe", &info) != 0)
    return found;
  const std::string folder = parent_path(std::string(self, static_cast<size_t>(length)));
  for (const std::string& path :
       {folder + "/" + kProgram, folder + "/../libexec/graft/" + kProgram}) {
    if (::access(path.c_str(), X_OK) != 0) continue;
    if (is_trusted(path, info.st_uid)) return {path, ""};
    found.why = str(path, " is not run: others than its installer may write to it or its folder");
  }
  return found;
}

// The file's bytes in memory that has a descriptor: what the reader sees, wherever they came from.
void copy_to(Descriptor& memory, File& file) {
  memory.open(::memfd_create("hdf5", MFD_CLOEXEC));
  if (memory.number() < 0)
    fail(ErrorCode::resource, "no memory for the HDF5 reader: ", std::strerror(errno));
  std::vector<std::byte> buffer(1 << 20);
  for (int64_t at = 0; at < file.size();) {
    const auto part = std::span(buffer).first(
        static_cast<size_t>(std::min<int64_t>(std::ssize(buffer), file.size() - at)));
    file.read_at(at, part);
    for (size_t done = 0; done < part.size();) {
      const ssize_t written = ::write(memory.number(), part.data() + done, part.size() - done);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0)
        fail(ErrorCode::resource, "no memory for the HDF5 reader: ", std::strerror(errno));
      done += static_cast<size_t>(written);
    }
    at += std::ssize(part);
  }
}

// The running reader. Ended and waited for in every case.
class Reader {
 public:
  explicit Reader(File& file) {
    const auto [program, why] = find_program();
    GRAFT_CHECK(!program.empty(), "is an HDF5 file (Keras), which ", kProgram, " reads, and ", why);
    Descriptor memory, out, err;
    copy_to(memory, file);
    make_pipe(answer_, out);
    make_pipe(complaint_, err);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, memory.number(), STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, out.number(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, err.number(), STDERR_FILENO);
    std::string name = kProgram;
    char* const arguments[] = {name.data(), nullptr};
    char* const environment[] = {nullptr};
    const int failed =
        ::posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments, environment);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0)
      fail(ErrorCode::resource, program, ": cannot be started: ", std::strerror(failed));
  }
  ~Reader() {
    if (process_ > 0) ::kill(process_, SIGKILL);
    wait();
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Fills `out`, or throws what the reader said, or how it ended.
  void read(std::span<std::byte> out) {
    while (!out.empty()) {
      const ssize_t got = next(answer_, out);
      if (got == 0) give_up();
      out = out.subspan(static_cast<size_t>(got));
    }
  }
  // All was read: nothing may follow, and the process must have ended well.
  void finish() {
    std::byte more[1];
    if (next(answer_, more) != 0 || wait() != 0) give_up();
  }

 private:
  static void make_pipe(Descriptor& read_end, Descriptor& write_end) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
      fail(ErrorCode::resource, "no pipe to the HDF5 reader: ", std::strerror(errno));
    read_end.open(ends[0]);
    write_end.open(ends[1]);
  }
  ssize_t next(Descriptor& from, std::span<std::byte> out) {
    for (;;) {
      pollfd wanted{from.number(), POLLIN, 0};
      const int ready = ::poll(&wanted, 1, kPatienceMs);
      if (ready < 0 && errno == EINTR) continue;
      GRAFT_CHECK(ready != 0, "the HDF5 reader was stopped: it said nothing for ",
                  kPatienceMs / 1000, " s");
      const ssize_t got = ::read(from.number(), out.data(), out.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0)
        fail(ErrorCode::resource, "the pipe to the HDF5 reader broke: ", std::strerror(errno));
      return got;
    }
  }
  int wait() {
    if (process_ > 0)
      while (::waitpid(process_, &status_, 0) < 0 && errno == EINTR) {
      }
    process_ = 0;
    return status_;
  }
  [[noreturn]] void give_up() {
    char words[1000];
    size_t length = 0;
    while (length < sizeof words) {
      const ssize_t got =
          next(complaint_, std::as_writable_bytes(std::span(words)).subspan(length));
      if (got == 0) break;
      length += static_cast<size_t>(got);
    }
    const int status = wait();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3 && length > 0) {
      std::string said(words, length);
      for (char& c : said)
        if (static_cast<unsigned char>(c) < ' ') c = ' ';
      bad_input(said);
    }
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
      bad_input("libhdf5 was stopped while reading it: it took too long or too much memory");
    if (WIFSIGNALED(status))
      bad_input("is damaged: libhdf5 crashed on it (signal ", WTERMSIG(status),
                "), in a process of its own");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
      fail(ErrorCode::resource, kProgram, " cannot be run: libhdf5 is not installed");
    bad_input("is damaged: libhdf5 gave up on it");
  }

  Descriptor answer_, complaint_;
  pid_t process_ = 0;
  int status_ = 0;
};

// The answer as a file that is read front to back, as the reader of safetensors does with tensors
// in the order of their data.
class AnswerFile final : public File {
 public:
  AnswerFile(Reader& reader, int64_t size) : reader_(reader), size_(size) {}
  const std::string& path() const override { return path_; }
  int64_t size() override { return size_; }
  void read_at(int64_t offset, std::span<std::byte> out) override {
    GRAFT_CHECK(offset == position_ && std::ssize(out) <= size_ - position_,
                "the HDF5 reader's answer is not in order");
    reader_.read(out);
    position_ += std::ssize(out);
  }
  void append(std::span<const std::byte>) override {
    fail(ErrorCode::internal, "the HDF5 reader's answer is not written to");
  }
  void sync() override {}
  void close() override {}

 private:
  Reader& reader_;
  std::string path_ = "HDF5";
  int64_t size_, position_ = 0;
};

io::WeightFile read_in_child(File& file, const io::ReadLimits& limits) {
  Reader reader(file);
  int64_t size = 0;
  reader.read(std::as_writable_bytes(std::span(&size, 1)));
  const int64_t most =
      checked_add(io::MemoryBudget::base, checked_mul(limits.inflate_ratio, file.size()));
  GRAFT_CHECK(size > 8 && size <= most, "unpacks to ", size, " bytes, more than ", most);
  AnswerFile answer(reader, size);
  io::WeightFile result = io::read_safetensors(answer, limits);
  reader.finish();
  if (const auto skipped = result.metadata.find("hdf5.skipped"); skipped != result.metadata.end()) {
    result.notes.push_back(skipped->second + " data sets are no numbers and were left out");
    result.metadata.erase(skipped);
  }
  if (const auto why = result.metadata.find("hdf5.unfiltered"); why != result.metadata.end()) {
    result.notes.push_back(
        str("the process that read it ran under limits alone: its system calls "
            "could not be filtered (",
            why->second, ")"));
    result.metadata.erase(why);
  }
  return result;
}

}  // namespace

#ifdef GRAFT_HDF5_VERSION
void lend_hdf5_reader() { io::set_hdf5_reader(read_in_child); }
std::string hdf5_state() {
  const FoundProgram found = find_program();
  return found.path.empty() ? found.why : GRAFT_HDF5_VERSION ", in a process of its own";
}
#else
namespace {
io::WeightFile refuse_hdf5(File&, const io::ReadLimits&) {
  bad_input("is an HDF5 file (Keras), and this graft was built without libhdf5");
}
}  // namespace
void lend_hdf5_reader() { io::set_hdf5_reader(refuse_hdf5); }
std::string hdf5_state() { return "none: built without libhdf5"; }
#endif

}  // namespace graft::tools
