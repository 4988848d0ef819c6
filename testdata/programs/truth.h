/* What a test program tells the recorder in truth.c. The functions are weak: a program runs without the recorder too. */
#ifndef HEAPWALK_TESTDATA_TRUTH_H
#define HEAPWALK_TESTDATA_TRUTH_H

/* The program is about to destroy the header of the allocation that contains (or follows) this address: a reader may
   lose it. At most 8. */
__attribute__((weak)) void truth_expect_lost(void* address);

#endif
