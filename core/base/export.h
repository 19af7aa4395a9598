// GRAFT_API marks what the library shows to its users; everything else is hidden by default.
#pragma once

#define GRAFT_API __attribute__((visibility("default")))
