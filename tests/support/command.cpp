#include "graft/tests/support/command.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "graft/core/runtime/random.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

[[noreturn]] void become_graft(const std::vector<std::string>& arguments,
                               const CommandLimits& limits, const std::string& folder, int input) {
  const auto redirect = [&](const char* name, int flags, int descriptor) {
    const int file = ::open((folder + "/" + name).c_str(), flags, 0600);
    if (file < 0 || ::dup2(file, descriptor) < 0) ::_exit(126);
  };
  if (input < 0)
    redirect("in", O_RDONLY, 0);
  else
    ::dup2(input, 0);
  redirect("out", O_WRONLY | O_CREAT | O_TRUNC, 1);
  redirect("err", O_WRONLY | O_CREAT | O_TRUNC, 2);
  if (limits.nobody_reads) {
    int ends[2];
    if (::pipe(ends) != 0 || ::dup2(ends[1], 1) < 0) ::_exit(126);
    ::close(ends[0]);
    ::close(ends[1]);
  }
  for (const int descriptor : limits.closed) ::close(descriptor);
  for (const std::string& entry : limits.environment) ::putenv(const_cast<char*>(entry.c_str()));
  for (const int signal : {SIGXFSZ, SIGPIPE}) std::signal(signal, SIG_DFL);
  if (limits.file_bytes > 0) {
    const rlimit limit{static_cast<rlim_t>(limits.file_bytes),
                       static_cast<rlim_t>(limits.file_bytes)};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  std::vector<char*> argv{const_cast<char*>(GRAFT_COMMAND)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(GRAFT_COMMAND, argv.data());
  ::_exit(127);
}

int64_t resident_bytes() {
  std::ifstream sizes("/proc/self/statm");
  int64_t all = 0, resident = 0;
  sizes >> all >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

}  // namespace

RunningGraft::RunningGraft(const std::vector<std::string>& arguments, const CommandLimits& limits) {
  write_text(folder_ / "in", limits.input);
  int ends[2] = {-1, -1};
  if (limits.endless_input && ::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  input_ = ends[1];
  inherited_bytes_ = resident_bytes();
  child_ = ::fork();
  if (child_ == 0) become_graft(arguments, limits, folder_.path(), ends[0]);
  if (ends[0] >= 0) ::close(ends[0]);
}

RunningGraft::~RunningGraft() {
  if (!ended_) send(SIGKILL);
  wait();
  if (input_ >= 0) ::close(input_);
}

bool RunningGraft::has_ended() {
  rusage usage{};
  if (!ended_ && ::wait4(child_, &status_, WNOHANG, &usage) == child_) {
    ended_ = true;
    peak_bytes_ = int64_t{usage.ru_maxrss} << 10;
  }
  return ended_;
}

bool RunningGraft::handles(int signal) const {
  std::ifstream status("/proc/" + std::to_string(child_) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("SigCgt:"))
      return (std::stoull(line.substr(7), nullptr, 16) >> (signal - 1) & 1) != 0;
  return false;
}

void RunningGraft::send(int signal) { ::kill(child_, signal); }

bool RunningGraft::reaches(const std::function<bool()>& state) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!has_ended() && std::chrono::steady_clock::now() < until) {
    if (state()) return true;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return false;
}

std::string RunningGraft::err() const { return read_text(folder_ / "err"); }

CommandResult RunningGraft::wait() {
  rusage usage{};
  if (!ended_ && ::wait4(child_, &status_, 0, &usage) == child_) {
    ended_ = true;
    peak_bytes_ = int64_t{usage.ru_maxrss} << 10;
  }
  return {WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_),
          read_text(folder_ / "out"), err(), peak_bytes_, inherited_bytes_};
}

CommandResult run_graft(const std::vector<std::string>& arguments, const CommandLimits& limits) {
  RunningGraft running(arguments, limits);
  const int delay = limits.kill_after_ms + limits.interrupt_after_ms;
  if (delay > 0) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(delay);
    while (!running.has_ended() && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    if (!running.has_ended()) running.send(limits.kill_after_ms > 0 ? SIGKILL : SIGINT);
  }
  return running.wait();
}

void write_photos(const std::string& folder, const std::vector<std::string>& classes, int per_class,
                  int side) {
  for (size_t c = 0; c < classes.size(); ++c) {
    std::filesystem::create_directories(folder + "/" + classes[c]);
    for (int i = 0; i < per_class; ++i) {
      CountedRandom random(c, RandomPurpose::synthetic, 0, static_cast<uint64_t>(i));
      std::string ppm = "P6\n" + std::to_string(side) + " " + std::to_string(side) + "\n255\n";
      for (int p = 0; p < side * side * 3; ++p)
        ppm += static_cast<char>(random.below(150) + (p % 3 == static_cast<int>(c) % 3 ? 90 : 20));
      write_text(folder + "/" + classes[c] + "/" + std::to_string(i) + ".ppm", ppm);
    }
  }
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string carried_weights() {
  return GRAFT_SOURCE_DIR "/examples/pretrained/cifar10_resnet20.th";
}

}  // namespace graft
