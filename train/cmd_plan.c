/* cmd_plan.c -- `cantus plan CONFIG`: what a training run takes, without running it. */
#include "core/command.h"
#include "train/plan.h"

static const char     *as_json, *with_records;
static const ct_option options[] = {
    {"--json", NULL, "print JSON (fields: train/README.md)", &as_json},
    {"--records", NULL, "list every op record of a step", &with_records},
};

extern const ct_command ct_command_plan;

static ct_status print(const ct_plan *plan) {
    double peak = ct_cpu_measure_gemm();
    if (as_json) return ct_json_say(ct_plan_json(plan, with_records != NULL, peak));
    ct_plan_print(plan, with_records != NULL, peak);
    return CT_OK;
}

static ct_status run(int count, char **words) {
    ct_arena        arena = {0};
    ct_train_config config;
    ct_plan         plan;
    ct_status       status = ct_command_config(&ct_command_plan, count, words, &arena, &config);
    if (status == CT_OK) status = ct_plan_make(&config, false, &plan);
    if (status == CT_OK) {
        status = print(&plan);
        ct_plan_free(&plan);
    }
    ct_arena_free(&arena);
    return status;
}

const ct_command ct_command_plan = {
    .name = "plan",
    .usage = "CONFIG [key=value ...]",
    .summary = "memory, flops and time of a training run, without running it",
    .details =
        "CONFIG is one of `cantus train`. Nothing of the size of the model is allocated: a cluster's run can be\n"
        "planned on a laptop, and without the dataset.\n",
    .schema = &ct_train_schema,
    .options = options,
    .option_count = CT_COUNT(options),
    .out = "train.out",
    .run = run,
};
