#include "graft/core/base/machine_memory.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

namespace graft {
namespace {

constexpr int64_t kNoLimit = int64_t{1} << 60;  // version 1 writes "no limit" as a huge number

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> fields_of(const std::string& text, char separator) {
  std::vector<std::string> fields;
  std::istringstream in(text);
  for (std::string field; std::getline(in, field, separator);) fields.push_back(field);
  return fields;
}

std::optional<int64_t> number_in(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() ? std::optional(value) : std::nullopt;
}

// The number behind `key` at a line's beginning.
std::optional<int64_t> number_of(const std::string& path, const std::string& key) {
  for (const std::string& line : lines_of(path))
    if (line.starts_with(key)) return number_in(std::string_view(line).substr(key.size()));
  return std::nullopt;
}

std::optional<int64_t> lone_number(const std::string& path) {
  const auto lines = lines_of(path);
  return lines.empty() ? std::nullopt : number_in(lines[0]);
}

bool lists(const std::string& names, const std::string& wanted) {
  for (const std::string& name : fields_of(names, ','))
    if (name == wanted) return true;
  return false;
}

// How a version of control groups calls its files.
struct GroupFiles {
  const char *type, *limit, *usage, *reclaimable;
};
constexpr GroupFiles kVersion1 = {"cgroup", "memory.limit_in_bytes", "memory.usage_in_bytes",
                                  "total_inactive_file "};
constexpr GroupFiles kVersion2 = {"cgroup2", "memory.max", "memory.current", "inactive_file "};

struct Mount {
  std::string root, point;  // which group is mounted, and where
};

// Source: proc(5), mountinfo: "... root point options [tags] - type source super-options".
std::optional<Mount> mount_of(const std::string& root, const GroupFiles& files) {
  for (const std::string& line : lines_of(root + "/proc/self/mountinfo")) {
    const std::vector<std::string> fields = fields_of(line, ' ');
    size_t dash = 6;
    while (dash < fields.size() && fields[dash] != "-") ++dash;
    if (dash + 3 >= fields.size() || fields[dash + 1] != files.type) continue;
    if (std::string_view(files.type) == kVersion1.type && !lists(fields[dash + 3], "memory"))
      continue;
    return Mount{fields[3], fields[4]};
  }
  return std::nullopt;
}

// Every group from this process's up to the mounted one. In a container the path may be the host's
// while the container's group is what is mounted: then that one alone is seen.
void bound_by_groups(const std::string& root, const GroupFiles& files, std::string path,
                     AvailableMemory& available) {
  const std::optional<Mount> mount = mount_of(root, files);
  if (!mount) return;
  if (mount->root != "/" && path.starts_with(mount->root)) path.erase(0, mount->root.size());
  for (;;) {
    while (!path.empty() && path.back() == '/') path.pop_back();
    const std::string folder = root + mount->point + path + "/";
    const std::optional<int64_t> limit = lone_number(folder + files.limit);
    if (limit && *limit < kNoLimit) {
      const int64_t used = lone_number(folder + files.usage).value_or(0) -
                           number_of(folder + "memory.stat", files.reclaimable).value_or(0);
      const int64_t left = std::max<int64_t>(*limit - std::max<int64_t>(used, 0), 1);
      if (available.bytes == 0 || left < available.bytes)
        available = {left, "the cgroup limit " + mount->point + path + "/" + files.limit};
    }
    if (path.empty()) return;
    path.erase(path.rfind('/'));
  }
}

}  // namespace

AvailableMemory available_memory(const std::string& root) {
  AvailableMemory available;
  if (const auto kilobytes = number_of(root + "/proc/meminfo", "MemAvailable:"))
    available = {*kilobytes * 1024, "the machine"};
  // "5:cpu,memory:/path" of version 1, "0::/path" of version 2.
  for (const std::string& line : lines_of(root + "/proc/self/cgroup")) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controllers.empty())
      bound_by_groups(root, kVersion2, line.substr(second + 1), available);
    else if (lists(controllers, "memory"))
      bound_by_groups(root, kVersion1, line.substr(second + 1), available);
  }
  return available;
}

}  // namespace graft
