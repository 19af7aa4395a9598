// What people say of a model, in its card.
#include "graft/models/description.h"

#include <gtest/gtest.h>

#include "graft/core/base/error.h"

namespace graft::models {
namespace {

std::string description_refusal(const std::string& json) {
  try {
    Description::from_json(json, "d.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "";
}

TEST(Description, GoesThroughJson) {
  const Description description{"30 made-up patients", "none: a test", "only \"rings\", ± nothing"};
  EXPECT_EQ(Description::from_json(description.to_json(), "x"), description);
  EXPECT_EQ(Description::from_json("{\"limits\": \"adults\"}", "x").limits, "adults");
  EXPECT_TRUE(Description::from_json("{}", "x").empty());
  EXPECT_EQ(Description{}.to_json(), "{}");
}

TEST(Description, OtherFieldsAreRefused) {
  EXPECT_NE(description_refusal("{\"use\": \"x\"}").find("'use' is none of data, intended_use"),
            std::string::npos);
  EXPECT_NE(description_refusal("{\"data\": 3}").find("data is no text of at most 4000 bytes"),
            std::string::npos);
  EXPECT_NE(
      description_refusal("{\"data\": \"" + std::string(4001, 'x') + "\"}").find("data is no text"),
      std::string::npos);
  EXPECT_NE(description_refusal("[]").find("expected a JSON object"), std::string::npos);
  EXPECT_NE(description_refusal("{\"data\":"), "");
}

}  // namespace
}  // namespace graft::models
