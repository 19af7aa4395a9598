// Runs the graft command as a user would, and makes photo folders for it.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "graft/tests/support/temporary_folder.h"

namespace graft {

struct CommandResult {
  int code = -1;  // exit code, or -signal
  std::string out, err;
  int64_t peak_bytes = 0;       // the most that was resident; at least inherited_bytes, because the
                                // system counts what a process has between fork and exec, too
  int64_t inherited_bytes = 0;  // resident in the test's own process at the fork
};

struct CommandLimits {
  int64_t file_bytes =
      0;  // a file cannot grow past this: how a full disk looks to a program; 0: no limit
  int kill_after_ms = 0;       // SIGKILL after this; 0: never
  int interrupt_after_ms = 0;  // SIGINT after this; 0: never
  std::string input{};         // standard input
  bool endless_input = false;  // standard input is a pipe that says nothing and never ends
  bool nobody_reads = false;   // standard output is a pipe whose reader has gone
  std::vector<int> closed{};   // of the descriptors 0 to 2
  std::vector<std::string> environment{};  // "NAME=value", added
};

// The command while it runs; ended with the object.
class RunningGraft {
 public:
  explicit RunningGraft(const std::vector<std::string>& arguments,
                        const CommandLimits& limits = {});
  ~RunningGraft();
  RunningGraft(const RunningGraft&) = delete;
  RunningGraft& operator=(const RunningGraft&) = delete;
  bool has_ended();
  void send(int signal);
  bool handles(int signal) const;  // it has begun, and has set its handler
  // Waits until this holds or the command has ended; false when it ended, or after 20 s.
  bool reaches(const std::function<bool()>& state);
  std::string err() const;
  CommandResult wait();

 private:
  TemporaryFolder folder_;
  int child_ = -1, status_ = 0, input_ = -1;
  int64_t peak_bytes_ = 0, inherited_bytes_ = 0;
  bool ended_ = false;
};

CommandResult run_graft(const std::vector<std::string>& arguments,
                        const CommandLimits& limits = {});

// Writes `per_class` PPM photos of side x side for each class below folder/<class>/; a class shows
// in its colour.
void write_photos(const std::string& folder, const std::vector<std::string>& classes, int per_class,
                  int side);
std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);

// The CIFAR-10 ResNet-20 that the repository carries.
std::string carried_weights();

}  // namespace graft
