"""Published classifiers as judges: WildGuard, HarmBench's, Llama Guard, StrongREJECT's."""
