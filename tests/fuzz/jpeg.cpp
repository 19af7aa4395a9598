// Parts of JPEGs, as the loader decodes them: the first four bytes choose window and shrinking. The
// reader is used again for a second part, whatever became of the first.
#include "graft/io/images/jpeg.h"

#include "graft/tests/fuzz/target.h"

namespace {

void read_part(graft::io::JpegReader& reader, graft::fuzz::Bytes bytes, graft::fuzz::Bytes choice) {
  const auto part = [&](size_t i, int64_t most) {
    return most * std::to_integer<int64_t>(choice[i]) / 256;
  };
  const graft::io::JpegHeader header = reader.open(bytes, "input");
  const int shrink = 1 << part(0, 4);
  const int64_t width = (header.width + shrink - 1) / shrink,
                height = (header.height + shrink - 1) / shrink;
  graft::io::PixelWindow window{};
  window.left = part(1, width);
  window.top = part(2, height);
  window.right = window.left + 1 + part(3, width - window.left);
  window.bottom = window.top + 1 + part(0, height - window.top);
  uint64_t sum = 0;
  reader.read(shrink, window, [&](const uint8_t* pixels) {
    for (int64_t i = 0; i < (window.right - window.left) * header.channels; ++i) sum += pixels[i];
  });
  if (sum > 0xffull << 30)
    graft::fail(graft::ErrorCode::internal, "the pixels sum to ", sum);  // they are read
}

}  // namespace

GRAFT_FUZZ_TARGET(jpeg, 64, 64 << 20, [](graft::fuzz::Bytes bytes) {
  if (bytes.size() < 4) return;
  graft::io::JpegReader reader;
  try {
    read_part(reader, bytes.subspan(4), bytes.first(4));
  } catch (const graft::Error& error) {
    if (error.code() == graft::ErrorCode::internal) throw;
  }
  read_part(reader, bytes.subspan(4), bytes.first(4));
})
