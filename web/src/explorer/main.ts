import { readPayload } from "../shared/payload";

void readPayload();
