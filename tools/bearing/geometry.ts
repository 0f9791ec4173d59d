/** What decides how often a defect is rolled over. */
export interface Bearing {
  readonly balls: number;
  readonly ballDiameterMm: number;
  readonly pitchDiameterMm: number;
  readonly contactAngleDeg: number;
}

/**
 * SKF 6205-2RS, a deep groove ball bearing of small electric motors. Dimensions (0.3126 in, 1.537 in) from the drive end
 * bearing of the Case Western Reserve University Bearing Data Center, https://engineering.case.edu/bearingdatacenter.
 */
export const skf6205: Bearing = { balls: 9, ballDiameterMm: 7.94, pitchDiameterMm: 39.04, contactAngleDeg: 0 };

/** Characteristic frequencies as multiples of the shaft's, outer ring at rest. */
export interface DefectOrders {
  /** Ball pass frequency, outer race. */
  readonly bpfo: number;
  /** Ball pass frequency, inner race. */
  readonly bpfi: number;
  /** Ball spin frequency; a defect on a ball meets a race twice per spin. */
  readonly bsf: number;
  /** Fundamental train (cage) frequency. */
  readonly ftf: number;
}

/** R. B. Randall, J. Antoni, Rolling element bearing diagnostics: a tutorial, MSSP 25 (2011) 485, eq. 1 to 4. */
export function defectOrders(bearing: Bearing): DefectOrders {
  const { balls, ballDiameterMm, pitchDiameterMm, contactAngleDeg } = bearing;
  const ratio = (ballDiameterMm / pitchDiameterMm) * Math.cos((contactAngleDeg * Math.PI) / 180);
  return {
    bpfo: (balls / 2) * (1 - ratio),
    bpfi: (balls / 2) * (1 + ratio),
    bsf: (pitchDiameterMm / (2 * ballDiameterMm)) * (1 - ratio ** 2),
    ftf: (1 - ratio) / 2,
  };
}
