// How much memory there is: the machine's, and what control groups of both versions leave.
#include "graft/core/base/machine_memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

// A made-up /proc and /sys below a folder.
class FakeSystem {
 public:
  FakeSystem() { put("/proc/meminfo", "MemTotal: 9000000 kB\nMemAvailable:    1048576 kB\n"); }
  void put(const std::string& path, const std::string& text) {
    const std::filesystem::path file = folder_.path() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  AvailableMemory available() const { return available_memory(folder_.path()); }

 private:
  TemporaryFolder folder_;
};

constexpr int64_t kMiB = 1 << 20;
constexpr const char* kMounts1 =
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:5 - cgroup cgroup rw,cpu\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 master:2 - cgroup cgroup rw,memory\n";
constexpr const char* kMounts2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";

TEST(MachineMemory, WithoutGroupsTheMachineBounds) {
  const FakeSystem system;
  EXPECT_EQ(system.available().bytes, 1024 * kMiB);
  EXPECT_EQ(system.available().bound, "the machine");
}

TEST(MachineMemory, VersionTwoAndItsParents) {
  FakeSystem system;
  system.put("/proc/self/cgroup", "0::/slice/job\n");
  system.put("/proc/self/mountinfo", kMounts2);
  system.put("/sys/fs/cgroup/slice/job/memory.max", "max\n");
  system.put("/sys/fs/cgroup/slice/job/memory.current", "5\n");
  EXPECT_EQ(system.available().bytes, 1024 * kMiB) << "no limit is none";
  system.put("/sys/fs/cgroup/slice/memory.max", std::to_string(200 * kMiB) + "\n");
  system.put("/sys/fs/cgroup/slice/memory.current", std::to_string(150 * kMiB) + "\n");
  system.put("/sys/fs/cgroup/slice/memory.stat",
             "active_file 7\ninactive_file " + std::to_string(30 * kMiB) + "\n");
  EXPECT_EQ(system.available().bytes, 80 * kMiB) << "files that can be dropped are no use of it";
  EXPECT_EQ(system.available().bound, "the cgroup limit /sys/fs/cgroup/slice/memory.max");
}

TEST(MachineMemory, VersionOne) {
  FakeSystem system;
  system.put("/proc/self/cgroup", "7:cpu,cpuacct:/x\n5:memory:/docker/abc\n0::/\n");
  system.put("/proc/self/mountinfo", kMounts1);
  system.put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  system.put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes",
             std::to_string(64 * kMiB) + "\n");
  system.put("/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes",
             std::to_string(24 * kMiB) + "\n");
  EXPECT_EQ(system.available().bytes, 40 * kMiB);
}

// In a container the path is often the host's, and what is mounted is the container's own group.
TEST(MachineMemory, AContainerSeesItsOwnGroupAlone) {
  FakeSystem system;
  system.put("/proc/self/cgroup", "5:memory:/docker/abc\n");
  system.put("/proc/self/mountinfo",
             "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
  system.put("/sys/fs/cgroup/memory/memory.limit_in_bytes", std::to_string(64 * kMiB) + "\n");
  EXPECT_EQ(system.available().bytes, 64 * kMiB);
  system.put("/proc/self/mountinfo", kMounts1);
  EXPECT_EQ(system.available().bytes, 64 * kMiB) << "the path does not exist below the mount";
}

TEST(MachineMemory, AFullGroupLeavesNextToNothing) {
  FakeSystem system;
  system.put("/proc/self/cgroup", "0::/\n");
  system.put("/proc/self/mountinfo", kMounts2);
  system.put("/sys/fs/cgroup/memory.max", "1000\n");
  system.put("/sys/fs/cgroup/memory.current", "5000\n");
  EXPECT_EQ(system.available().bytes, 1) << "0 would mean that nothing is known";
}

TEST(MachineMemory, NonsenseIsNoLimit) {
  FakeSystem system;
  system.put("/proc/self/cgroup", "no colons\n:\n0::\n5:memory:/a:b\n");
  system.put("/proc/self/mountinfo", "1 2 3\n - cgroup2 x y\n" + std::string(kMounts2) + kMounts1);
  system.put("/sys/fs/cgroup/memory.max", "many\n");
  EXPECT_EQ(system.available().bytes, 1024 * kMiB);
}

TEST(MachineMemory, ThisMachineSays) { EXPECT_GT(available_memory().bytes, 0); }

}  // namespace
}  // namespace graft
