// The table of answers: names that need quotes or are there twice, and answers that are no numbers.
#include "graft/tools/predictions.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/base/error.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::tools {
namespace {

TEST(Predictions, NamesAreToldApartAndBadNumbersPredictNothing) {
  const TemporaryFolder folder;
  const std::vector<std::string> names = {"crane", "green, dark", "crane"};
  const std::vector<float> sure = {0.25f, 0.5f, 0.25f}, none = {NAN, 0.5f, 0.5f};
  for (const char* file : {"p.csv", "p.jsonl"}) {
    PredictionsFile kept(folder / file, names);
    EXPECT_EQ(kept.name(2), "crane (2)");
    kept.add("a.jpg", "crane (0)", sure.data());
    kept.add("b.jpg", "", none.data());
    kept.add_broken("c.jpg", "it is \"truncated\"");
    kept.write();
  }
  EXPECT_EQ(read_text(folder / "p.csv"),
            "path,true,predicted,error,p_crane (0),\"p_green, dark\",p_crane (2)\n"
            "a.jpg,crane (0),\"green, dark\",,0.250000,0.500000,0.250000\n"
            "b.jpg,,,the answer is not finite,,,\n"
            "c.jpg,,,\"it is \"\"truncated\"\"\",,,\n");
  EXPECT_EQ(read_text(folder / "p.jsonl"),
            "{\"path\":\"a.jpg\",\"true\":\"crane (0)\",\"predicted\":\"green, dark\","
            "\"probabilities\":{\"crane (0)\":0.25,\"green, dark\":0.5,\"crane (2)\":0.25}}\n"
            "{\"path\":\"b.jpg\",\"error\":\"the answer is not finite\"}\n"
            "{\"path\":\"c.jpg\",\"error\":\"it is \\\"truncated\\\"\"}\n");
  EXPECT_THROW(PredictionsFile(folder / "p.txt", names), Error);
}

}  // namespace
}  // namespace graft::tools
