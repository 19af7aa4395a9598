// Which part of a weight file is the network: the prefix that its tensors stand under, and the head
// behind the backbone that graft does not have.
#pragma once
#include "graft/models/source_network.h"

namespace graft::models {

// The file without what stands outside of `prefix`, when one is asked for ("encoder_q" and
// "encoder_q." are the same); the others join `left_out`. bad_input when nothing stands there.
io::WeightFile within_prefix(const io::WeightFile& file, const std::string& prefix,
                             std::vector<std::string>& left_out);

// The prefix under which a network's first convolution stands: the only one, the file's root, or of
// a pair known from training (a query encoder beside its momentum copy) the trained one, with a
// note. The first of the file's roots when there is none. bad_input listing several.
std::string find_prefix(const io::WeightFile& file, std::vector<std::string>& notes);

// Drops a head that is not the family's own: of a ResNet whatever is no stem and no stage, of the
// others a classifier of other layers. Names that could be part of the backbone stay, and are
// refused later. Returns what was dropped.
std::vector<std::string> drop_other_head(SourceNetwork& source);

}  // namespace graft::models
