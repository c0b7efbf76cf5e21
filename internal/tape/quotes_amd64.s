#include "textflag.h"

// func findSetsWide(src *byte, blocks int, sets *sets) (quotes int, backslashes uint64)
TEXT ·findSetsWide(SB), NOSPLIT, $0-40
	MOVQ src+0(FP), SI
	MOVQ blocks+8(FP), CX
	MOVQ sets+16(FP), DI
	MOVQ $0x2222222222222222, AX
	VMOVQ AX, X0
	VPBROADCASTQ X0, Y0
	MOVQ $0x5c5c5c5c5c5c5c5c, AX
	VMOVQ AX, X1
	VPBROADCASTQ X1, Y1
	XORQ R10, R10
	XORQ R11, R11
	TESTQ CX, CX
	JLE  done

loop:
	VMOVDQU 0(SI), Y2
	VMOVDQU 32(SI), Y3
	VPCMPEQB Y0, Y2, Y4
	VPCMPEQB Y0, Y3, Y5
	VPMOVMSKB Y4, AX
	VPMOVMSKB Y5, BX
	SHLQ $32, BX
	ORQ  BX, AX
	MOVQ AX, 0(DI)
	POPCNTQ AX, AX
	ADDQ AX, R10
	VPCMPEQB Y1, Y2, Y4
	VPCMPEQB Y1, Y3, Y5
	VPMOVMSKB Y4, R8
	VPMOVMSKB Y5, R9
	SHLQ $32, R9
	ORQ  R9, R8
	MOVQ R8, 8(DI)
	ORQ  R8, R11
	ADDQ $64, SI
	ADDQ $16, DI
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	MOVQ R10, quotes+24(FP)
	MOVQ R11, backslashes+32(FP)
	RET

// One place: the lowest bit of AX, counted from DX, which is then taken out.
#define PLACE(at) \
	TZCNTQ AX, R9; \
	ADDL DX, R9; \
	MOVL R9, at(DI); \
	BLSRQ AX, AX

// func listWide(sets *sets, blocks int, places *uint32)
TEXT ·listWide(SB), NOSPLIT, $0-24
	MOVQ sets+0(FP), SI
	MOVQ blocks+8(FP), CX
	MOVQ places+16(FP), DI
	XORL DX, DX
	TESTQ CX, CX
	JLE  done

loop:
	MOVQ (SI), AX
	POPCNTQ AX, BX
	PLACE(0)
	PLACE(4)
	PLACE(8)
	PLACE(12)
	PLACE(16)
	PLACE(20)
	PLACE(24)
	PLACE(28)
	CMPQ BX, $8
	JLE  next
	PLACE(32)
	PLACE(36)
	PLACE(40)
	PLACE(44)
	PLACE(48)
	PLACE(52)
	PLACE(56)
	PLACE(60)
	CMPQ BX, $16
	JLE  next
	LEAQ 64(DI), R8

rest:
	TZCNTQ AX, R9
	ADDL DX, R9
	MOVL R9, (R8)
	ADDQ $4, R8
	BLSRQ AX, AX
	JNZ  rest

next:
	LEAQ (DI)(BX*4), DI
	ADDL $64, DX
	ADDQ $16, SI
	DECQ CX
	JNZ  loop

done:
	RET
