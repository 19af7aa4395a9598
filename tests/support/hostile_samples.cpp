#include <algorithm>
#include <filesystem>

#include "graft/core/base/file_system.h"
#include "graft/core/base/text.h"
#include "graft/io/weights/weights.h"
#include "graft/tests/support/hostile_files.h"

namespace graft {
namespace {

std::string test_image(const std::string& name) {
  return read_text_file(GRAFT_TEST_DATA "/images/" + name, 1 << 20);
}

HostileFile image(const std::string& name, const std::string& path,
                  std::function<std::string()> content, std::vector<std::string> words) {
  return {name, path, HostileKind::image, std::move(content), std::move(words)};
}

std::string with_bytes(std::string content, size_t at, const std::string& bytes) {
  return content.replace(at, bytes.size(), bytes);
}

std::string big_endian(uint32_t value, int bytes = 4) {
  std::string out;
  for (int shift = 8 * bytes - 8; shift >= 0; shift -= 8)
    out += static_cast<char>(value >> shift & 0xff);
  return out;
}

// A grey progressive JPEG of side x side zeros: one scan of DC, then `scans` scans that say
// "nothing" of one coefficient each. ITU-T T.81 B.2; each Huffman table has one symbol, whose code
// is one bit 0.
std::string many_scans(uint32_t side, int scans) {
  const auto segment = [](char marker, const std::string& content) {
    return std::string("\xff") + marker + big_endian(static_cast<uint32_t>(content.size()) + 2, 2) +
           content;
  };
  const auto table = [&](char id, char symbol) {
    return segment('\xc4', std::string(1, id) + '\1' + std::string(15, '\0') + symbol);
  };
  const uint32_t blocks = (side + 7) / 8 * ((side + 7) / 8);
  std::string out = "\xff\xd8" + segment('\xdb', std::string(1, '\0') + std::string(64, '\1'));
  out += segment('\xc2',
                 "\x08" + big_endian(side, 2) + big_endian(side, 2) + std::string("\1\1\x11\0", 4));
  out += table('\0', '\0') +
         table('\x10', '\xe0');  // DC: difference 0; AC: 2^14 blocks and 14 bits more have ended
  out += segment('\xda', std::string("\1\1\0\0\0\0", 6)) + std::string((blocks + 7) / 8, '\0');
  std::string nothing;  // 15 bits each, padded with ones
  uint64_t bits = 0;
  int held = 0;
  for (uint32_t left = blocks; left > 0;) {
    const uint32_t run =
        std::min<uint32_t>(left < 16384 ? 16384 : left, 32767);  // the last may run on
    bits = bits << 15 | (run - 16384);
    for (held += 15; held >= 8; held -= 8) {
      nothing += static_cast<char>(bits >> (held - 8) & 0xff);
      if (nothing.back() == '\xff') nothing += '\0';
    }
    left -= std::min(left, run);
  }
  if (held > 0)
    nothing += static_cast<char>((bits << (8 - held) & 0xff) | ((1u << (8 - held)) - 1));
  for (int scan = 0; scan < scans; ++scan) {
    const char at = static_cast<char>(1 + scan % 63);
    out += segment('\xda', std::string("\1\1\0", 3) + at + at + '\0') + nothing;
  }
  return out + "\xff\xd9";
}

std::vector<HostileFile> images() {
  const auto jpeg_of = [](const std::string& size) {
    return [size] {
      const std::string whole = test_image("baseline.jpg");
      return with_bytes(whole, whole.find("\xff\xc0") + 5, size);
    };
  };
  const auto text = [](std::string content) { return [content] { return content; }; };
  const std::string bmp_start =
      "BM" + std::string(8, '\0') + std::string("\x36\0\0\0\x28\0\0\0", 8);
  return {
      image("jpeg_of_gigapixels", "a.jpg", jpeg_of(std::string("\xff\xdc\xff\xdc", 4)),
            {"65500x65500 pixels, more than the limit"}),
      image("jpeg_of_no_width", "a.jpg", jpeg_of(std::string("\0\x10\0\0", 4)), {"broken JPEG"}),
      image("jpeg_of_many_scans", "a.jpg", [] { return many_scans(64, 120); },
            {"more than 100 scans"}),
      image("jpeg_of_markers_only", "a.jpg",
            [] {
              std::string s = "\xff\xd8";
              for (int i = 0; i < 20000; ++i) s += std::string("\xff\xe1\0\2", 4);
              return s;
            },
            {"broken JPEG"}),
      image("jpeg_that_ends_in_a_scan", "a.jpg",
            [] { return test_image("progressive.jpg").substr(0, 700); }, {"broken JPEG"}),
      image("png_of_gigapixels", "a.png",
            [] {
              return with_bytes(test_image("rgb.png"), 16,
                                std::string("\x7f\xff\xff\xff\x7f\xff\xff\xff", 8));
            },
            {"broken"}),
      image(
          "png_chunk_of_gigabytes", "a.png",
          [] { return with_bytes(test_image("rgb.png"), 33, std::string("\x7f\xff\xff\xff", 4)); },
          {"broken PNG"}),
      image("png_without_pixels", "a.png",
            [] {
              return test_image("rgb.png").substr(0, 33) +
                     std::string("\0\0\0\0IEND\xae\x42\x60\x82", 12);
            },
            {"broken image"}),
      image("bmp_of_gigapixels", "a.bmp",
            [=] {
              return bmp_start + std::string("\xff\xff\xff\x7f\xff\xff\xff\x7f\1\0\x18\0", 12) +
                     std::string(60, '\0');
            },
            {"broken BMP"}),
      image("bmp_of_least_height", "a.bmp",
            [=] {
              return bmp_start + std::string("\1\0\0\0\0\0\0\x80\1\0\x18\0", 12) +
                     std::string(60, '\0');
            },
            {"broken BMP"}),
      image("pnm_of_gigapixels", "a.ppm", text("P6 2147483647 2147483647 255 "),
            {"more than the limit"}),
      image("pnm_beyond_64_bits", "a.ppm", text("P6 99999999999999999999 1 255 "), {"broken PNM"}),
      image("pnm_of_no_size", "a.pgm", text("P5 0 0 255 "), {"broken PNM"}),
      image("pnm_of_a_long_header", "a.pgm", [] { return "P5 " + std::string(1 << 20, '#'); },
            {"broken PNM"}),
      image("tga_of_gigabytes", "a.png",
            text(std::string("\0\0\2\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\x20\0", 18)),
            {"not an image"}),  // stb#1996
      image("gif_of_gigabytes", "a.png",
            text("GIF89a" + std::string("\xff\xff\xff\xff\xf7\0\0", 7) + std::string(51, '\0')),
            {"65535x65535 pixels"}),  // stb#2001
      image("psd_of_gigabytes", "a.jpg",
            text(std::string("8BPS\0\1\0\0\0\0\0\0\0\4\0\0\x75\x30\0\0\x75\x30", 22)),
            {"not an image"}),
      image("program_as_a_photo", "a.jpg",
            text("\x7f"
                 "ELF" +
                 std::string(60, '\0')),
            {"not an image"}),
  };
}

// -- data sets

HostileFile idx(const std::string& name, const std::string& images, const std::string& labels,
                std::vector<std::string> words) {
  return {name, "", HostileKind::data, nullptr, std::move(words), [=](const std::string& folder) {
            write_file_atomically(folder + "/train-images-idx3-ubyte", images);
            write_file_atomically(folder + "/train-labels-idx1-ubyte", labels);
          }};
}

HostileFile csv(const std::string& name, const std::string& content,
                std::vector<std::string> words) {
  return {name,
          "x.csv",
          HostileKind::data,
          [=] { return content; },
          std::move(words),
          [](const std::string& folder) {
            write_file_atomically(folder + "/a.pgm", std::string("P5 1 1 255 \0", 12));
          }};
}

std::vector<HostileFile> data_sets() {
  const std::string label = big_endian(0x801) + big_endian(1) + std::string(1, '\0'),
                    image = big_endian(0x803) + big_endian(1) + big_endian(1) + big_endian(1) + "x";
  return {
      idx("idx_of_exabytes",
          big_endian(0x803) + big_endian(0xffffffff) + big_endian(0xffffffff) +
              big_endian(0xffffffff),
          label, {"promises more than"}),
      idx("idx_product_that_wraps",
          big_endian(0x803) + big_endian(1 << 22) + big_endian(1 << 22) + big_endian(1 << 20),
          label, {"promises more than"}),
      idx("idx_of_more_than_the_file",
          big_endian(0x803) + big_endian(1000) + big_endian(28) + big_endian(28), label,
          {"its header promises 784000"}),
      idx("idx_of_no_pixels", big_endian(0x803) + big_endian(1) + big_endian(0) + big_endian(28),
          label, {"images of shape"}),
      idx("idx_of_other_axes", big_endian(0x8ff), label, {"truncated"}),
      idx("idx_labels_of_exabytes", image, big_endian(0x801) + big_endian(0xffffffff),
          {"its header promises 4294967295"}),
      idx("idx_labels_of_another_count", image,
          big_endian(0x801) + big_endian(2) + std::string(2, '\0'),
          {"1 train images but 2 labels"}),
      csv("csv_outside_of_its_folder", "../../../../../../absent.png,a\na.pgm,b\n", {}),
      csv("csv_absolute_path", "a.pgm,a\n/proc/self/absent,b\n", {}),
      csv("csv_of_a_folder", "a.pgm,a\n/,b\n", {}),
      csv("csv_zero_in_a_path", std::string("a.pgm,a\na.pgm\0x,b\n", 18), {"line 2", "zero byte"}),
      csv("csv_open_quotation", "a.pgm,\"" + std::string(100000, 'x'), {"not closed"}),
      csv("csv_many_fields", "a.pgm" + std::string(100000, ',') + "\n", {"line 1 is not"}),
      csv("csv_one_long_line", std::string(1 << 20, 'x'), {"line 1 is not"}),
      {"cifar_of_part_of_a_record",
       "",
       HostileKind::data,
       nullptr,
       {"no whole number of CIFAR records"},
       [](const std::string& folder) {
         write_file_atomically(folder + "/data_batch_1.bin", std::string(3072, '\0'));
       }},
      {"cifar_label_beyond_its_classes",
       "",
       HostileKind::data,
       nullptr,
       {"label 255"},
       [](const std::string& folder) {
         write_file_atomically(folder + "/data_batch_1.bin", std::string(3073, '\xff'));
       }},
  };
}

// -- model files: a card and one small tensor

std::string card(const std::string& architecture, const std::string& rest = "") {
  return "{\"card_version\":1,\"architecture\":" + architecture +
         ",\"preprocess\":{\"bgr\":false,\"channels\":3,\"deviation\":[1,1,1],\"interpolation\":"
         "\"bilinear\",\"mean\":[0,0,0],\"resize_to\":32,\"scale\":1,\"size\":32},"
         "\"preprocess_known\":true,\"labels\":[],\"neutral_norms\":[],\"lineage\":{\"graft_"
         "version\":\"\",\"source_format\":\"\",\"source_naming\":\"\","
         "\"source_sha256\":\"\",\"data_sha256\":\"\",\"recipe\":null}" +
         rest + "}";
}

HostileFile model(const std::string& name, const std::string& card,
                  std::vector<std::string> words) {
  return {name,
          "m.safetensors",
          HostileKind::model,
          nullptr,
          std::move(words),
          [card](const std::string& folder) {
            StateDict tensors;
            tensors.add("w", Tensor::zeros({1}));
            io::write_safetensors(folder + "/m.safetensors", tensors, {{"graft.card", card}});
          }};
}

std::string resnet(const std::string& depths, int64_t in_channels, int64_t classes) {
  return str("{\"family\":\"resnet\",\"name\":\"r\",\"depths\":", depths,
             ",\"bottleneck\":true,\"stride_in_3x3\":true,\"eps\":1e-5,\"pool_pad_begin\":1,"
             "\"pool_pad_end\":1,\"in_channels\":",
             in_channels, ",\"stages\":4,\"classes\":", classes, "}");
}

std::string graph_card(const std::string& tensor) {
  return "{\"family\":\"graph\",\"name\":\"g\",\"in_channels\":3,\"classes\":0,\"classifier_"
         "input\":\"\",\"features\":1,\"own_head\":false,\"pooled\":false,\"eps\":1e-5,"
         "\"graph\":{\"opsets\":{\"\":17},\"outputs\":[\"y\"],\"stage_ends\":[\"y\"],\"inputs\":[{"
         "\"name\":\"x\",\"dtype\":\"float32\",\"dims\":[-1,3,8,8]}],"
         "\"nodes\":[{\"op\":\"Add\",\"name\":\"\",\"in\":[\"x\",\"w\"],\"out\":[\"y\"],"
         "\"attributes\":{}}],\"tensors\":[" +
         tensor + "]}}";
}

std::vector<HostileFile> cards() {
  return {
      model("card_of_deep_json", std::string(100000, '['), {"nested deeper than 64"}),
      model("card_of_deep_objects",
            [] {
              std::string s;
              for (int i = 0; i < 1000; ++i) s += "{\"a\":";
              return s;
            }(),
            {"nested deeper than 64"}),
      model("card_that_is_no_json", "card", {"card"}),
      model("card_of_a_later_version", "{\"card_version\":2}", {"version 2"}),
      model("card_version_beyond_64_bits", "{\"card_version\":1e300}", {"not a whole number"}),
      model("card_of_an_endless_network", card(resnet("[200,200,200,200]", 3, 2)),
            {"m.safetensors"}),
      model("card_of_a_million_classes", card(resnet("[1,1,1,1]", 3, 1000000)), {"m.safetensors"}),
      model("card_of_a_network_beyond_its_limits", card(resnet("[1000000000,1,1,1]", 3, 2)),
            {"stage of 1000000000 blocks"}),
      model("card_of_an_unknown_family", card("{\"family\":\"os.system\"}"), {"unknown family"}),
      model("card_graph_tensor_of_terabytes",
            card(graph_card(
                R"({"name":"w","role":"parameter","dtype":"float32","shape":[1099511627776]})")),
            {"w is", "expected"}),
      model(
          "card_graph_tensor_that_wraps",
          card(graph_card(
              R"({"name":"w","role":"parameter","dtype":"float32","shape":[4194305,4194305,211106198978564]})")),
          {"m.safetensors"}),
      model("card_graph_tensor_that_is_not_there",
            card(graph_card(R"({"name":"v","role":"parameter","dtype":"float32","shape":[1]})")),
            {"missing: v"}),
      model(
          "card_graph_extent_of_no_number",
          card(graph_card(R"({"name":"w","role":"parameter","dtype":"float32","shape":[1e300]})")),
          {"m.safetensors"}),
  };
}

}  // namespace

std::vector<HostileFile> hostile_samples() {
  std::vector<HostileFile> files = images();
  for (auto more : {data_sets(), cards()})
    for (HostileFile& file : more) files.push_back(std::move(file));
  return files;
}

std::vector<HostileFile> hostile_files() {
  std::vector<HostileFile> files;
  for (auto more : {hostile_archives(), hostile_weights(), hostile_graphs(), hostile_samples(),
                    hostile_descriptions()})
    for (HostileFile& file : more) files.push_back(std::move(file));
  return files;
}

std::string make_hostile_file(const HostileFile& file, const std::string& folder) {
  std::filesystem::create_directories(folder);
  if (file.prepare) file.prepare(folder);
  const std::string path = file.path.empty() ? folder : folder + "/" + file.path;
  if (file.content) write_file_atomically(path, file.content());
  return path;
}

}  // namespace graft
