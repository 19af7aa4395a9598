// Libraries that are opened at run time never come from the current folder.
#include "graft/kernels/cuda/shared_library.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

TEST(SharedLibrary, IsNeverTakenFromTheCurrentFolder) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(GRAFT_DRIVER_STUB, folder / "libplanted.so.1");
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  std::string why;
  for (const char* name : {"./libplanted.so.1", "../x/libplanted.so.1", "lib/planted.so", ""}) {
    EXPECT_EQ(open_shared_library(name, why), nullptr) << name;
    EXPECT_NE(why.find("relative to the current folder"), std::string::npos) << why;
  }
  EXPECT_EQ(open_shared_library("libplanted.so.1", why), nullptr);
  EXPECT_NE(why.find("libplanted.so.1"), std::string::npos) << why;
  EXPECT_NE(open_shared_library(folder / "libplanted.so.1", why), nullptr) << why;
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace graft
