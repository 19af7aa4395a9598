// Cards: the JSON of a model's description, imported graphs included, and of its preprocessing.
// What reads must be written the same again.
#include "graft/models/card.h"

#include <string>

#include "graft/tests/fuzz/target.h"

namespace {

template <class T>
void round_trip(const std::string& text) {
  std::string written;
  try {
    written = T::from_json(text).to_json();
  } catch (const graft::Error& error) {
    if (error.code() == graft::ErrorCode::internal) throw;
    return;
  }
  if (T::from_json(written).to_json() != written)
    graft::fail(graft::ErrorCode::internal, "another text: ", written);
}

}  // namespace

GRAFT_FUZZ_TARGET(card, 256, 1 << 20, [](graft::fuzz::Bytes bytes) {
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  round_trip<graft::io::Preprocess>(text);
  round_trip<graft::models::ModelCard>(text);
})
