/*
 * codec_cpu.h
 *	  Compiles one source twice: for any processor, and for those with AVX2.
 *
 * A kernel (CODEC_KERNEL) is written once, as plain C.  It is called from one function that is
 * compiled for AVX2 and from one that is not, and the compiler inlines and vectorises it in both.
 * Which of them runs is decided at run time, so that the binary runs anywhere and needs no -march.
 * The results are the same to the bit, because vector instructions round as scalar ones do and
 * nothing is contracted.
 */
#ifndef HISTORIAN_CODEC_CPU_H
#define HISTORIAN_CODEC_CPU_H

#include <stdbool.h>

#define CODEC_KERNEL static inline __attribute__((always_inline))

/* CODEC_PORTABLE leaves AVX2 out, so that tests run the other functions. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(CODEC_PORTABLE)

#define CODEC_HAVE_AVX2 1
#define CODEC_AVX2 __attribute__((target("avx2")))

static inline bool
codec_cpu_has_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}

#else

#define CODEC_AVX2

static inline bool
codec_cpu_has_avx2(void)
{
	return false;
}

#endif

#endif							/* HISTORIAN_CODEC_CPU_H */
