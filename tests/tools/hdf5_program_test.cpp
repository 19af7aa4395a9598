// Which program reads HDF5: one that nobody but its installer can have put there.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

namespace fs = std::filesystem;

TEST(Hdf5Program, IsNotTakenFromWhereEverybodyMayWrite) {
  const fs::path reader = fs::path(GRAFT_COMMAND).parent_path() / "graft_read_hdf5";
  if (!fs::exists(reader)) GTEST_SKIP() << "built without libhdf5";
  const TemporaryFolder folder;
  fs::create_directories(folder / "bin");
  fs::copy_file(GRAFT_COMMAND, folder / "bin/graft");
  // What is planted says so when it is run.
  write_text(folder / "bin/graft_read_hdf5", "#!/bin/sh\necho run >&2\nexit 3\n");
  fs::permissions(folder / "bin/graft_read_hdf5", fs::perms::owner_all);
  const auto said = [&] {
    const std::string command = (folder / "bin/graft") +
                                " inspect " GRAFT_TEST_DATA "/keras/tiny.h5 > /dev/null 2> " +
                                (folder / "err");
    EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 3);
    return read_text(folder / "err");
  };
  EXPECT_NE(said().find("tiny.h5: run"), std::string::npos) << said() << "the owner's own is run";
  for (const char* open : {"bin", "bin/graft_read_hdf5"}) {
    fs::permissions(folder / open, fs::perms::others_write, fs::perm_options::add);
    EXPECT_NE(said().find("is not run: others"), std::string::npos) << open << ": " << said();
    EXPECT_EQ(said().find("tiny.h5: run"), std::string::npos) << open;
    fs::permissions(folder / open, fs::perms::others_write, fs::perm_options::remove);
  }
  fs::copy_file(reader, folder / "graft_read_hdf5");
  fs::remove(folder / "bin/graft_read_hdf5");
  fs::current_path(folder.path());  // it stands in the current folder
  EXPECT_NE(said().find("is not installed beside graft"), std::string::npos) << said();
  fs::current_path("/");
}

}  // namespace
}  // namespace graft
