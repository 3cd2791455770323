// What the card is told by one library or another.
#pragma once

#include <functional>

// While a stream is captured, an operation is kept for the graph. Whether it is; if not, the caller does it.
bool card_keeps(std::function<int()> operation);

// Whether nothing is computed at all, so that what a program takes is its own time.
bool card_is_idle();
