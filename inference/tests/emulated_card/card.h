// What a kernel knows of the thread that it runs in, and how threads wait for each other.
#pragma once

struct Triple {
    unsigned x, y, z;
};

// The thread that runs, its block, and how many there are of each.
struct Place {
    Triple thread, block, threads, blocks;
};

extern "C" {
extern Place *card_place;
// All threads of the block.
void card_meet();
// Every thread of the warp gives so many numbers, eight at most, and gets those of all 32.
void card_exchange(const unsigned *given, int count, unsigned *all);
}
