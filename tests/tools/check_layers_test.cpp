// The house check (tools/check_layers.sh) finds what it should; that the tree itself passes is a
// ctest of its own.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

struct Tree {
  TemporaryFolder folder;
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(folder / path).parent_path());
    std::ofstream(folder / path) << text;
  }
  // The script's exit code; its words are in `said`.
  int check() {
    const std::string log = folder / "said.txt";
    const std::string command =
        std::string(GRAFT_SOURCE_DIR "/tools/check_layers.sh ") + folder.path() + " > " + log;
    const int status = std::system(command.c_str());
    std::ifstream in(log);
    said.assign(std::istreambuf_iterator<char>(in), {});
    return WEXITSTATUS(status);
  }
  std::string said;
};

TEST(CheckLayers, AcceptsTheAllowedArrows) {
  Tree tree;
  tree.write("core/README.md", "x\n");
  tree.write("core/tensor/a.h",
             "// What it is for.\n#include <vector>\n#include \"graft/core/base/b.h\"\n");
  EXPECT_EQ(tree.check(), 0) << tree.said;
}

TEST(CheckLayers, RefusesAnArrowUpwards) {
  Tree tree;
  tree.write("io/README.md", "x\n");
  tree.write("io/a.cpp", "#include \"graft/models/b.h\"\n");
  EXPECT_EQ(tree.check(), 1);
  EXPECT_NE(tree.said.find("io/a.cpp:1: may not include models/b.h"), std::string::npos)
      << tree.said;
}

TEST(CheckLayers, KeepsTheRoomsOfHostsAboveTheLibrary) {
  Tree tree;
  for (const char* folder : {"train", "api", "capi"})
    tree.write(std::string(folder) + "/README.md", "x\n");
  tree.write("train/a.cpp", "#include \"graft/api/b.h\"\n");
  tree.write("api/a.cpp", "#include \"graft/tools/b.h\"\n#include \"graft/models/b.h\"\n");
  tree.write("capi/a.h", "// C.\n#include <stdint.h>\n#include <sys/stat.h>\n");
  EXPECT_EQ(tree.check(), 1);
  for (const char* fault :
       {"train/a.cpp:1: may not include api/b.h", "api/a.cpp:1: may not include",
        "capi/a.h:3: third-party", "3 fault(s)"})
    EXPECT_NE(tree.said.find(fault), std::string::npos) << fault << " in " << tree.said;
}

TEST(CheckLayers, RefusesThirdPartyInAHeaderAndAHeaderWithoutPurpose) {
  Tree tree;
  tree.write("io/README.md", "x\n");
  tree.write("io/a.h", "#pragma once\n#include <nlohmann/json.hpp>\n");
  EXPECT_EQ(tree.check(), 1);
  EXPECT_NE(tree.said.find("io/a.h:1: the first line"), std::string::npos) << tree.said;
  EXPECT_NE(tree.said.find("<nlohmann/json.hpp> in a public header"), std::string::npos)
      << tree.said;
}

TEST(CheckLayers, LongFilesNeedAReason) {
  Tree tree;
  tree.write("train/README.md", "x\n");
  std::string text;
  for (int i = 0; i < 501; ++i) text += "int a;\n";
  tree.write("train/a.cpp", text);
  EXPECT_EQ(tree.check(), 1);
  tree.write("tools/README.md", "x\n");
  tree.write("tools/long_files.txt", "train/a.cpp one table\n");
  EXPECT_EQ(tree.check(), 0) << tree.said;
}

TEST(CheckLayers, WordsOfATaskBelongToTasks) {
  Tree tree;
  tree.write("train/README.md", "x\n");
  tree.write("tools/README.md", "x\n");
  tree.write("train/tasks/sorting/a.cpp", "int labels;\n");
  EXPECT_EQ(tree.check(), 0) << tree.said;
  for (const char* word :
       {"int labels;", "int num_classes;", "// Cross-entropy.", "int Accuracy;"}) {
    tree.write("train/a.cpp", std::string(word) + "\n");
    EXPECT_EQ(tree.check(), 1) << word;
    EXPECT_NE(tree.said.find("train/a.cpp: names labels"), std::string::npos) << tree.said;
  }
  tree.write("tools/task_words.txt", "# Files.\ntrain/a.cpp\n");
  EXPECT_EQ(tree.check(), 0) << tree.said;
  tree.write("train/a.cpp", "class A {};\n");
  EXPECT_EQ(tree.check(), 1);
  EXPECT_NE(tree.said.find("tools/task_words.txt: train/a.cpp names no task's words"),
            std::string::npos)
      << tree.said;
}

TEST(CheckLayers, NoJsonBeginsAsNull) {
  Tree tree;
  tree.write("tools/README.md", "x\n");
  tree.write("tools/a.cpp", "nlohmann::json j = nlohmann::json::object();\n");
  EXPECT_EQ(tree.check(), 0) << tree.said;
  tree.write("tools/a.cpp", "nlohmann::json j;\n");
  EXPECT_EQ(tree.check(), 1);
  EXPECT_NE(tree.said.find("tools/a.cpp:1: a JSON value"), std::string::npos) << tree.said;
}

TEST(CheckLayers, RefusesAnotherFormat) {
  if (std::system("command -v clang-format-14 > /dev/null") != 0)
    GTEST_SKIP() << "there is no clang-format-14";
  Tree tree;
  tree.write("train/README.md", "x\n");
  tree.write(".clang-format", "BasedOnStyle: Google\nColumnLimit: 100\n");
  tree.write("train/a.cpp", "int a;\nint  b;\n");
  EXPECT_EQ(tree.check(), 1);
  EXPECT_NE(tree.said.find("train/a.cpp:2: not as .clang-format says"), std::string::npos)
      << tree.said;
  tree.write("train/a.cpp", "int a;\nint b;\n");
  EXPECT_EQ(tree.check(), 0) << tree.said;
}

}  // namespace
}  // namespace graft
