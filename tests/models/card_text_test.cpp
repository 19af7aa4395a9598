// The texts of a model's card: nothing may stand behind the JSON, and no zero byte in it, behind
// which a parser would not look.
#include <gtest/gtest.h>

#include <functional>

#include "graft/core/base/error.h"
#include "graft/models/card.h"

namespace graft::models {
namespace {

TEST(CardTexts, NothingButSpacesMayStandBehindTheJson) {
  ModelCard card;
  card.architecture = architecture_named("cifar_resnet20");
  card.preprocess = io::imagenet_preprocess(32);
  const std::vector<std::pair<std::string, std::function<void(const std::string&)>>> texts = {
      {card.to_json(), ModelCard::from_json},
      {to_json(card.architecture), architecture_from_json},
      {card.preprocess.to_json(), io::Preprocess::from_json}};
  const std::string zero(1, '\0');
  for (const auto& [text, read] : texts) {
    EXPECT_NO_THROW(read(text + " \n")) << text;
    for (const std::string& behind :
         {zero, zero + "anything", " " + zero + "{}", std::string("{}"), std::string("x")})
      try {
        read(text + behind);
        ADD_FAILURE() << text << " followed by " << behind;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
      }
  }
}

}  // namespace
}  // namespace graft::models
