// McNemar's test of two tables of answers.
#include "graft/tools/paired_answers.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::tools {
namespace {

class PairedAnswersOf : public testing::Test {
 protected:
  std::string put(const std::string& name, const std::string& rows) {
    write_file_atomically(folder_ / name, "path,true,predicted,error,p_a,p_b\n" + rows);
    return folder_ / name;
  }
  std::string refusal(const std::string& first, const std::string& second) {
    try {
      paired_answers(first, second);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      return error.what();
    }
    return "";
  }
  TemporaryFolder folder_;
};

TEST_F(PairedAnswersOf, TwoTablesArePairedByPath) {
  const std::string first = put("1.csv",
                                "x,a,a,,1,0\ny,a,b,,0,1\nz,b,b,,0,1\nu,b,a,,1,0\nv,b,b,,0,1\n"
                                "w,a,,the answer is not finite,,\n"),
                    second = put("2.csv",
                                 "w,a,a,,1,0\nv,b,a,,1,0\nu,b,a,,1,0\nz,b,a,,1,0\ny,a,a,,1,0\n"
                                 "x,a,a,,1,0\n");
  const PairedAnswers pairs = paired_answers(first, second);
  EXPECT_EQ(pairs.both, 1);
  EXPECT_EQ(pairs.only_first, 2);
  EXPECT_EQ(pairs.only_second, 1);
  EXPECT_EQ(pairs.neither, 1);
  EXPECT_EQ(pairs.left_out, 1);
  EXPECT_DOUBLE_EQ(pairs.p_value(), 1);
  EXPECT_NE(paired_text(first, second, pairs).find("p = 1.000000"), std::string::npos);
  const auto json = nlohmann::json::parse(paired_json(first, second, pairs));
  EXPECT_EQ(json["only_first"], 2);
  EXPECT_EQ(json["mcnemar_p"], 1.0);
  EXPECT_TRUE(is_answers_table(first));
  EXPECT_FALSE(is_answers_table(folder_ / ""));
}

TEST_F(PairedAnswersOf, TablesThatDoNotFitAreRefused) {
  const std::string one = put("1.csv", "x,a,a,,1,0\ny,a,b,,0,1\n");
  EXPECT_NE(refusal(one, put("2.csv", "x,a,a,,1,0\n")).find("y of"), std::string::npos);
  EXPECT_NE(refusal(put("3.csv", "x,a,a,,1,0\n"), one).find("1 images more"), std::string::npos);
  EXPECT_NE(refusal(one, put("4.csv", "x,b,a,,1,0\ny,a,b,,0,1\n")).find("x is b there and a in"),
            std::string::npos);
  EXPECT_NE(refusal(one, put("5.csv", "x,a,a,,1,0\nx,a,b,,0,1\n")).find("stands there twice"),
            std::string::npos);
  write_file_atomically(folder_ / "6.csv", "path,true_degrees,predicted_degrees\nx,1,2\n");
  EXPECT_NE(refusal(one, folder_ / "6.csv").find("has no column 'true'"), std::string::npos);
}

}  // namespace
}  // namespace graft::tools
