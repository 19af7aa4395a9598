// Runs the graft command as a user would, and makes photo folders for it.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace graft {

struct CommandResult {
  int code = -1;  // exit code, or -signal
  std::string out, err;
  int64_t peak_bytes = 0;  // the most that was resident
};

struct CommandLimits {
  int64_t file_bytes =
      0;  // a file cannot grow past this: how a full disk looks to a program; 0: no limit
  int kill_after_ms = 0;                 // SIGKILL after this; 0: never
  int interrupt_after_ms = 0;            // SIGINT after this; 0: never
  std::string input;                     // standard input
  std::vector<std::string> environment;  // "NAME=value", added
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
