// The check of library paths (tools/check_library_paths.sh) finds what it should; that graft's own
// programs pass is a ctest of its own.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

// Links a small library into folder/sub with these options, and checks the folder.
int check_linked(const TemporaryFolder& folder, const std::string& options, std::string& said) {
  std::filesystem::create_directories(folder / "sub");
  write_text(folder / "a.cpp", "int a() { return 1; }\n");
  const std::string link = std::string(GRAFT_COMPILER " -shared -fPIC -o ") +
                           (folder / "sub/a.so") + " " + (folder / "a.cpp") + " " + options;
  EXPECT_EQ(std::system(link.c_str()), 0) << link;
  const std::string check = std::string(GRAFT_SOURCE_DIR "/tools/check_library_paths.sh ") +
                            (folder / "sub") + " > " + (folder / "said.txt") + " 2>&1";
  const int status = std::system(check.c_str());
  said = read_text(folder / "said.txt");
  return WEXITSTATUS(status);
}

TEST(CheckLibraryPaths, FindsWhatLoadsFromTheCurrentFolderOrEverybodys) {
  const TemporaryFolder folder;
  const std::string open = folder / "open";
  std::filesystem::create_directories(open);
  std::filesystem::permissions(open, std::filesystem::perms::all);
  const std::pair<std::string, std::string> bad[] = {
      {"-Wl,-rpath,:", "an empty entry"},
      {"-Wl,-rpath,/usr/lib::/lib", "an empty entry"},
      {"-Wl,-rpath,/usr/lib:", "an empty entry"},
      {"-Wl,-rpath,lib", "'lib' in its library path is relative"},
      {"-Wl,--disable-new-dtags,-rpath,./lib", "'./lib' in its library path is relative"},
      {"-Wl,-rpath," + open, "everybody may write to"},
      {"'-Wl,-rpath,$ORIGIN/../open'", "everybody may write to"},
  };
  std::string said;
  for (const auto& [options, words] : bad) {
    EXPECT_EQ(check_linked(folder, options, said), 1) << options << ": " << said;
    EXPECT_NE(said.find(words), std::string::npos) << options << ": " << said;
  }
  for (const char* good : {"", "-Wl,-rpath,/usr/lib", "'-Wl,-rpath,$ORIGIN/../lib:/usr/lib'"})
    EXPECT_EQ(check_linked(folder, good, said), 0) << good << ": " << said;
}

TEST(CheckLibraryPaths, AFolderWithoutProgramsProvesNothing) {
  const TemporaryFolder folder;
  const std::string check = std::string(GRAFT_SOURCE_DIR "/tools/check_library_paths.sh ") +
                            folder.path() + " > /dev/null 2>&1";
  EXPECT_EQ(WEXITSTATUS(std::system(check.c_str())), 1);
}

}  // namespace
}  // namespace graft
