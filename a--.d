-: common/banned.h cli/why.h common/buffer.h common/base.h
cli/why.h:
common/buffer.h:
common/base.h:
