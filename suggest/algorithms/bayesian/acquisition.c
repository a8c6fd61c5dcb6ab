#include "suggest/algorithms/bayesian/acquisition.h"

#include <gsl/gsl_sf_erf.h>
#include <math.h>

/* Past it Phi is 1 to the last bit. */
#define CERTAIN 35.0
#define LOG_SQRT_2PI 0.91893853320467274178
/* Below, phi(u) and u Phi(u) nearly cancel and the series takes over. */
#define SERIES_FROM (-25.0)
#define UCB_FACTOR 1.8
#define WIDE_UCB_FACTOR 3.0

const char *
assay_gp_rule_name(enum assay_gp_rule rule)
{
    static const char *const names[] = {
        [ASSAY_GP_LOG_EI] = "log_expected_improvement",
        [ASSAY_GP_UCB] = "upper_confidence_bound",
        [ASSAY_GP_WIDE_UCB] = "wide_upper_confidence_bound",
        [ASSAY_GP_LOG_EHVI] = "log_expected_hypervolume_improvement",
        [ASSAY_GP_FEASIBILITY] = "log_probability_of_feasibility",
    };

    return names[rule];
}

/* For u <= SERIES_FROM: h(u) / phi(u) = 1/u^2 - 3/u^4 + 15/u^6 - ..., and
 * Phi(u) / phi(u) = (1 - 1/u^2 + 3/u^4 - ...) / |u| (Abramowitz and Stegun 26.2.12). */
static void
tail_series(double u, double *ret_h, double *ret_cdf)
{
    double inverse = 1.0 / (u * u), term = 1.0, h = 0.0;

    for (int k = 1; k <= 10; k++) {
        term *= -(2.0 * k - 1.0) * inverse;
        h -= term;
    }
    *ret_h = h;
    *ret_cdf = (1.0 - h) / -u;
}

/* ln h(u) with Phi(u) / h(u) and phi(u) / h(u). */
double
assay_gp_log_h_ratios(double u, double *ret_cdf_ratio, double *ret_density_ratio)
{
    double h, cdf, density;

    if (u <= SERIES_FROM) {
        tail_series(u, &h, &cdf);
        *ret_cdf_ratio = cdf / h;
        *ret_density_ratio = 1.0 / h;
        return -0.5 * u * u - LOG_SQRT_2PI + log(h);
    }
    density = exp(-0.5 * u * u - LOG_SQRT_2PI);
    cdf = 0.5 * erfc(-u * M_SQRT1_2);
    h = density + u * cdf;
    *ret_cdf_ratio = cdf / h;
    *ret_density_ratio = density / h;
    return log(h);
}

double
assay_gp_log_h(double u)
{
    double a, b;

    return assay_gp_log_h_ratios(u, &a, &b);
}

double
assay_gp_log_cdf(double u, double *ret_slope)
{
    *ret_slope = 0.0;
    if (u > CERTAIN)
        return 0.0;
    *ret_slope = gsl_sf_hazard(-u);
    return gsl_sf_log_erfc(-u * M_SQRT1_2) - M_LN2;
}

static double
log_mean_ei(const struct assay_gp_acquisition *acquisition, const double *means, double sd,
            double *ret_by_means, double *ret_by_sd)
{
    double logs[ASSAY_GP_FANTASIES_MAX], by_mean[ASSAY_GP_FANTASIES_MAX];
    double by_sd[ASSAY_GP_FANTASIES_MAX], highest = -INFINITY, sum = 0.0, slope = 0.0;

    for (size_t s = 0; s < acquisition->n_means; s++) {
        double cdf, density;

        logs[s] =
            assay_gp_log_h_ratios((acquisition->thresholds[s] - means[s]) / sd, &cdf, &density);
        by_mean[s] = -cdf / sd;
        by_sd[s] = density / sd;
        highest = fmax(highest, logs[s]);
    }
    for (size_t s = 0; s < acquisition->n_means; s++) {
        logs[s] = exp(logs[s] - highest);
        sum += logs[s];
    }
    for (size_t s = 0; s < acquisition->n_means; s++) {
        slope += logs[s] / sum * by_sd[s];
        if (ret_by_means != NULL)
            ret_by_means[s] = logs[s] / sum * by_mean[s];
    }
    if (ret_by_sd != NULL)
        *ret_by_sd = slope;
    return highest + log(sum / (double)acquisition->n_means) + log(sd);
}

double
assay_gp_acquisition_at(const struct assay_gp_acquisition *acquisition, const double *means,
                        double sd, double *ret_by_means, double *ret_by_sd)
{
    double factor = acquisition->rule == ASSAY_GP_UCB ? UCB_FACTOR : WIDE_UCB_FACTOR, value;

    if (acquisition->rule == ASSAY_GP_LOG_EI)
        return log_mean_ei(acquisition, means, sd, ret_by_means, ret_by_sd);
    value = -means[0] + factor * sd; /* first: derivatives may come in place of the means */
    if (ret_by_means != NULL)
        ret_by_means[0] = -1.0;
    if (ret_by_sd != NULL)
        *ret_by_sd = factor;
    return value;
}
