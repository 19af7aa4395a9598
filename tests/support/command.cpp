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
#include <thread>

#include "graft/core/runtime/random.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

[[noreturn]] void become_graft(const std::vector<std::string>& arguments,
                               const CommandLimits& limits, const std::string& folder) {
  const auto redirect = [&](const char* name, int flags, int descriptor) {
    const int file = ::open((folder + "/" + name).c_str(), flags, 0600);
    if (file < 0 || ::dup2(file, descriptor) < 0) ::_exit(126);
  };
  redirect("in", O_RDONLY, 0);
  redirect("out", O_WRONLY | O_CREAT | O_TRUNC, 1);
  redirect("err", O_WRONLY | O_CREAT | O_TRUNC, 2);
  for (const std::string& entry : limits.environment) ::putenv(const_cast<char*>(entry.c_str()));
  if (limits.file_bytes > 0) {
    std::signal(SIGXFSZ, SIG_IGN);  // writes then fail instead
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

}  // namespace

CommandResult run_graft(const std::vector<std::string>& arguments, const CommandLimits& limits) {
  const TemporaryFolder folder;
  write_text(folder / "in", limits.input);
  const pid_t child = ::fork();
  if (child == 0) become_graft(arguments, limits, folder.path());
  const int delay = limits.kill_after_ms + limits.interrupt_after_ms;
  int status = 0;
  rusage usage{};
  bool ended = false;
  if (delay > 0) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(delay);
    while (!ended && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      ended = ::wait4(child, &status, WNOHANG, &usage) == child;
    }
    if (!ended) ::kill(child, limits.kill_after_ms > 0 ? SIGKILL : SIGINT);
  }
  if (!ended) ::wait4(child, &status, 0, &usage);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), read_text(folder / "out"),
          read_text(folder / "err"), int64_t{usage.ru_maxrss} << 10};
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
