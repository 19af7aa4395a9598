// onnx_cases FOLDER < names: runs the cases FOLDER/NAME, one name a line, in one process; prints a
// line for each: NAME <tab> passed|failed|unsupported <tab> reason.
#include <cstdio>
#include <iostream>

#include "graft/core/runtime/exec_context.h"
#include "graft/tests/support/onnx_case.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: onnx_cases FOLDER < names\n");
    return 2;
  }
  graft::ExecContext context(1);
  const graft::ScopedExecContext scope(context);
  constexpr const char* kWords[] = {"passed", "failed", "unsupported"};
  for (std::string name; std::getline(std::cin, name);) {
    const auto result =
        graft::test::run_case(graft::test::read_case(std::string(argv[1]) + "/" + name));
    std::printf("%s\t%s\t%s\n", name.c_str(), kWords[static_cast<int>(result.verdict)],
                result.reason.c_str());
    std::fflush(stdout);
  }
  return 0;
}
